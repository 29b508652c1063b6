"""All records here are mapped both ways."""

from tests.two_ways import mapped_both_ways

__all__ = ["mapped_both_ways"]
