"""Log lines: one JSON object each, with ids, without the text of exceptions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync import log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    log.configure(None)
    for handler in [h for h in root.handlers if isinstance(h.formatter, log.JsonFormatter)]:
        root.removeHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(False)


def test_a_line_carries_bound_ids_and_extras(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    assert log.configure(str(path)) == str(path)
    with log.bound(run="r1"), log.bound(record="order:1"):
        logging.getLogger("t").info("event settled", extra={"fate": "done"})
    logging.getLogger("t").info("after")
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert {"run": "r1", "record": "order:1", "fate": "done", "message": "event settled"}.items() <= first.items()
    assert "run" not in second


def test_an_exception_shows_its_place_and_not_its_text(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    log.configure(str(path))
    try:
        raise ValueError("ana@example.com does not fit")
    except ValueError as error:
        logging.getLogger("t").error("unexpected", exc_info=error)
    line = json.loads(path.read_text())
    assert line["error"] == "ValueError"
    assert "test_log_lines.py" in line["where"][0]
    assert "ana@" not in path.read_text()


def test_a_file_that_cannot_be_written_falls_back_to_stderr(tmp_path: Path) -> None:
    assert log.configure(str(tmp_path / "missing" / "x.log")) == "stderr"


def test_request_addresses_are_not_logged(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    log.configure(str(path))
    logging.getLogger("httpx2").info("HTTP Request: GET https://x/?search[email]=ana@example.com")
    assert path.read_text() == ""
