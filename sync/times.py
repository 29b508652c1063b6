"""Moments as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at: float | None) -> str | None:
    """Unix seconds as UTC text to the second; None stays None."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def span(seconds: float) -> str:
    """A length of time in its two largest units: "3 h 20 min"; "0 s" for nothing and less."""
    whole, parts = max(0, int(seconds)), []
    for size, name in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if whole >= size:
            parts.append(f"{whole // size} {name}")
            whole %= size
    return " ".join(parts[:2]) or "0 s"
