"""Structured logs: one JSON object a line, with run, lane and record ids, and no customer values.

Messages are constant texts; what varies goes into ``extra``. Of an unexpected exception the type and the places are
written, never its text, which may quote a payload.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

_context: ContextVar[dict[str, str]] = ContextVar("mapper_log_context")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_MAX_FILE_BYTES = 10_000_000


class JsonFormatter(logging.Formatter):
    """One JSON object a record: at, level, logger, message, bound ids, extras, and where an exception came from."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the record; values that JSON lacks become their type's name."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_context.get({}),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["where"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line, default=lambda value: type(value).__name__)


@contextmanager
def bound(**ids: str) -> Iterator[None]:
    """Put ids (run, lane, record) on every line logged inside the block by this thread."""
    saved = _context.set({**_context.get({}), **ids})
    try:
        yield
    finally:
        _context.reset(saved)


def configure(target: str | None, *, level: int = logging.INFO) -> str | None:
    """Send the logs of this process to a file, to stderr ("-"), or nowhere (None).

    Returns:
        What to tell a person looking for the log: the file's path, "stderr", or None. A file that cannot be
        written falls back to stderr.
    """
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler.formatter, JsonFormatter)]:
        root.removeHandler(handler)
        handler.close()
    handler, shown = _handler(target)
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    root.setLevel(level)
    # Their lines quote request addresses, and a search for a client carries an e-mail.
    for noisy in ("httpx2", "httpcore2", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    return shown


def _handler(target: str | None) -> tuple[logging.Handler, str | None]:
    if target is None:
        return logging.NullHandler(), None
    if target != "-":
        try:
            file = RotatingFileHandler(target, maxBytes=_MAX_FILE_BYTES, backupCount=3, encoding="utf-8")
        except OSError:
            pass
        else:
            return file, target
    return logging.StreamHandler(sys.stderr), "stderr"
