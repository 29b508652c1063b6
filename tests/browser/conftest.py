"""The demo as a person starts it, and a Chromium that reports every error and every request."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from ensure_browser import find_browser
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from watching import Demo, Watched

from mapspec import approve, dump_spec, load_spec

PROJECT = Path(__file__).resolve().parents[2]
ORDERS = 24
_PATIENCE_MS = 60_000
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """`mapper demo` in a folder of its own, with approved mappings."""
    with running_demo(tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def shared_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """As `demo`, one for all tests that make their own draft first and ask nothing of the books."""
    with running_demo(tmp_path_factory.mktemp("demo")) as found:
        yield found


@contextmanager
def running_demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo that ends with the block."""
    shutil.copytree(PROJECT / "mappings", tmp_path / "mappings")
    shutil.copytree(PROJECT / "fixtures", tmp_path / "fixtures")
    for file in (tmp_path / "mappings").rglob("*.yaml"):
        spec = approve(load_spec(file.read_text("utf-8")), None, by="maria", at="2026-03-01T09:00:00Z")
        file.write_text(dump_spec(spec), "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = "import sys; from mapper_ai.services.demo import main; sys.exit(main(sys.argv[1:]))"
    with (tmp_path / "demo.err").open("wb") as errors:
        child = subprocess.Popen(
            [sys.executable, "-c", start, "--port", str(port), "--orders", str(ORDERS)],
            cwd=tmp_path,
            env={**os.environ, "MAPPER_USER": "ana", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        addresses = _addresses(child, tmp_path / "demo.err")
        yield Demo(addresses["App"], addresses["FreshBooks sandbox"], tmp_path / ".mapper/demo")
    finally:
        child.send_signal(signal.SIGINT)
        try:
            assert child.wait(30) == 0, (tmp_path / "demo.err").read_text("utf-8")
        finally:
            child.kill()
            child.wait()
            assert child.stdout is not None
            child.stdout.close()


def _addresses(child: subprocess.Popen[str], errors: Path) -> dict[str, str]:
    """What the demo prints; it gives up by itself when the app does not answer."""
    assert child.stdout is not None
    found: dict[str, str] = {}
    for line in child.stdout:
        if line.startswith("Stop with"):
            return found
        name, _, rest = line.partition("  ")
        found[name] = rest.split()[0]
    pytest.fail(f"the demo did not start: {errors.read_text('utf-8')}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium; skipped with a message where there is none.

    Not for the whole session: Playwright's loop counts as running, and no other test could use asyncio.run.
    """
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium: run tests/browser/ensure_browser.py, or set MAPPER_CHROMIUM")
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A page of 1280 px whose errors and requests are kept."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield watch(context.new_page())
    context.close()


@pytest.fixture
def launch(browser: Browser) -> Callable[[], Browser]:
    """Starts another browser, for a test that kills it."""
    return lambda: browser.browser_type.launch(executable_path=find_browser(), args=_ARGUMENTS)


def watch(page: Page) -> Watched:
    """A page whose errors and requests are kept."""
    page.set_default_timeout(_PATIENCE_MS)
    found = Watched(page)

    def said(message: ConsoleMessage) -> None:
        # Opened below /, a page of Streamlit first asks for its server at that path, is told 404, and asks at /.
        probe = "/_stcore/" in str(message.location.get("url", "")) and "404" in message.text
        if message.type == "error" and not probe:
            found.console.append(message.text)

    def asked(url: str) -> None:
        if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).hostname != "127.0.0.1":
            found.foreign.append(url)

    page.on("console", said)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda opened: asked(opened.url))
    return found
