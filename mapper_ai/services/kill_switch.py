"""Pausing and resuming the runner from the app, through the store that every runner process reads."""

from __future__ import annotations

import time
from contextlib import closing

from sync import control
from sync.control import Pause
from sync.errors import SyncError
from sync.store import Store, open_store


def read_pause(store_url: str) -> Pause | None:
    """Who paused the runner, when and why; None while work goes on, and while there is no store."""
    try:
        with closing(open_store(store_url, read_only=True)) as store:
            return control.paused(store)
    except SyncError:
        return None


def pause(store_url: str, *, who: str, reason: str = "") -> Pause:
    """Stop all writing, of every process on this store, after the write in hand.

    Raises:
        StoreError: There is no store yet, or it cannot be used.
    """
    with closing(_existing(store_url)) as store:
        return control.pause(store, who=who, reason=reason, now=time.time())


def resume(store_url: str, *, who: str) -> bool:
    """Let the work go on; False when nothing was paused.

    Raises:
        StoreError: There is no store yet, or it cannot be used.
    """
    with closing(_existing(store_url)) as store:
        return control.resume(store, who=who, now=time.time())


def _existing(store_url: str) -> Store:
    open_store(store_url, read_only=True).close()  # nobody pauses a store into being
    return open_store(store_url)
