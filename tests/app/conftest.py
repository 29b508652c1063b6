"""The app in AppTest, on a workspace of its own: no browser, no network but the sandbox a test starts itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.components.v2 import manifest_scanner
from studio_app import PROJECT, Studio

from mapspec import approve, dump_spec, load_spec

_FOREIGN = ("FRESHBOOKS_", "CLARITY_", "MAPPER_")


@pytest.fixture(scope="session", autouse=True)
def _packages_read_once() -> Iterator[None]:
    """Every AppTest reads what all installed packages say of themselves, which takes a third of a second."""
    found = manifest_scanner.scan_component_manifests()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", lambda: found)
        yield


@pytest.fixture(scope="session")
def approved_mappings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An approved copy of the project's own mappings, to be copied."""
    folder = tmp_path_factory.mktemp("approved") / "clarity-freshbooks"
    shutil.copytree(PROJECT / "mappings/clarity-freshbooks", folder)
    for file in folder.glob("*.yaml"):
        spec = approve(load_spec(file.read_text("utf-8")), None, by="maria", at="2026-03-01T09:00:00Z")
        file.write_text(dump_spec(spec), "utf-8")
    return folder


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved_mappings: Path) -> Studio:
    """Mappings are an approved copy of the project's own."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN):
            monkeypatch.delenv(name)
    found = Studio(tmp_path / "workspace", tmp_path / "mappings" / "clarity-freshbooks")
    shutil.copytree(approved_mappings, found.mappings)
    (tmp_path / "mapper.toml").write_text("", "utf-8")
    settings = {
        "MAPPER_WORKSPACE": found.root,
        "MAPPER_MAPPINGS": found.mappings,
        "MAPPER_SAMPLES": PROJECT / "fixtures/clarity",
        "MAPPER_STORE_URL": f"sqlite:///{tmp_path / 'mapper.db'}",
        "MAPPER_CONFIG": tmp_path / "mapper.toml",
        "MAPPER_USER": "ana",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    return found
