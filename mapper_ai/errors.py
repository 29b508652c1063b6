"""Errors of the studio: what a person asked for cannot be done, said in one line."""

from __future__ import annotations


class MapperError(Exception):
    """Base of the studio's own errors; the message is one line that names file, field and the mend."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InputError(MapperError):
    """What was given cannot be read: a missing file, broken JSON, an unknown system. Exit code 3."""


class UnknownPartError(MapperError):
    """A flow, part or source field that does not exist was named."""


class Conflict(MapperError):  # noqa: N818  the word of the screens: another tab or person was faster
    """The part, or the mapping file, changed since it was shown."""
