"""What the browser tests share: a running demo or app, and a page that remembers what went wrong in it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from mapper_ai.services.workspace import Workspace

CUT_OFF = """() => {
  const wide = document.documentElement.clientWidth;
  const found = [];
  for (const element of document.querySelectorAll('.stMainBlockContainer *')) {
    if (element.closest('[aria-hidden="true"], .stDataFrameGlideDataEditor, pre, canvas, svg')) continue;
    const box = element.getBoundingClientRect();
    if (box.width && box.height && box.right > wide + 1) found.push(element.className || element.tagName);
    const label = element.tagName === 'P' && element.closest('button');
    const hidden = getComputedStyle(element).overflow === 'hidden';
    if (label && hidden && element.scrollWidth > element.clientWidth + 1) found.push(element.textContent);
  }
  for (const table of document.querySelectorAll('.dvn-scroller'))
    if (table.scrollWidth > table.clientWidth + 1) found.push('a table hides columns');
  return found;
}"""


@dataclass(frozen=True)
class Demo:
    """A running demo."""

    app: str
    sandbox: str
    folder: Path


@dataclass
class Watched:
    """A page, and what went wrong in it."""

    page: Page
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def check(self) -> None:
        assert not self.foreign, f"requests that leave this machine: {self.foreign}"
        assert not self.errors, self.errors
        assert not self.console, self.console


@contextmanager
def running_app(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The address of `mapper app`, started in a folder with nothing of MAPPER_ but what is given."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAPPER_")}
    with (folder / "app.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "mapper_ai", "app", "--port", str(port)],
            cwd=folder,
            env={**kept, **environ, "HOME": str(folder), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert child.stdout is not None
    try:
        assert any("URL:" in line for line in child.stdout), (folder / "app.log").read_text("utf-8")
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(30)
        child.stdout.close()


def settled(page: Page) -> None:
    """Wait until the app has drawn everything; parts that draw themselves again now and then are no matter."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def workspace(demo: Demo) -> Workspace:
    """The demo's, as it stands on disk."""
    return Workspace.open(demo.folder / "workspace", mappings=demo.folder / "mappings")


def fits(page: Page, where: str) -> None:
    """Nothing is cut off, nothing failed, and no value was taken for anything but text."""
    settled(page)
    with suppress(PlaywrightTimeout):  # a resized table needs a frame or two
        page.wait_for_function(f"() => ({CUT_OFF})().length === 0", timeout=5_000)
    assert page.evaluate(CUT_OFF) == [], where
    assert not page.get_by_test_id("stException").count(), where
    assert page.evaluate("window.harmed") is None, where
    assert not page.locator(".stMainBlockContainer img, .stMainBlockContainer a[href*='example.com']").count(), where


def sandbox_page(watched: Watched, demo: Demo) -> str:
    """What the FreshBooks stand-in shows to a person, in a tab of its own."""
    tab = watched.page.context.new_page()
    tab.goto(demo.sandbox)
    text = tab.inner_text("main")
    tab.close()
    return text


def picture(page: Page, name: str) -> None:
    """Keep a picture where MAPPER_SCREENSHOTS names a folder."""
    folder = os.environ.get("MAPPER_SCREENSHOTS")
    if folder:
        settled(page)
        page.mouse.move(2, 2)
        page.wait_for_timeout(700)  # a picture alone waits for charts to grow
        page.screenshot(path=Path(folder) / f"{name}.png")
