"""Errors the runner expects; each carries the exit code its command ends with.

Messages are one line, name the setting, file or record, and say how to mend it. They hold no customer values.
Connector and mapping errors live in ``connectors.errors`` and ``mapspec.errors``.
"""

from __future__ import annotations


class SyncError(Exception):
    """Base of everything the runner raises on purpose."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class SettingsError(SyncError):
    """A setting is missing or does not fit; the message names the variable, or the file and key."""

    exit_code = 2


class InputError(SyncError):
    """A file handed in cannot be read as what it should be; the message starts with ``FILE:LINE:``."""

    exit_code = 3


class StoreError(SyncError):
    """The store cannot be opened or is not ours."""

    exit_code = 3


class NoStoreError(StoreError):
    """There is nothing at the store's address yet."""


class LaneLostError(SyncError):
    """Another runner has taken the lane over: this one was paused for longer than its lease."""


class StaleLeaseError(SyncError):
    """The last proof that a lane is ours is too old for a write to leave; nothing was sent."""


class IntentOpenError(SyncError):
    """A write for this natural key was begun and its end is not known; look before writing again."""
