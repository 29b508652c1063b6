"""A spec as one function of plain Python, for the records that are as records usually are (docs/decisions/0017)."""

from mapspec.quick.record import Quick, compile_quick

__all__ = ["Quick", "compile_quick"]
