"""Finds or installs a Chromium for the browser tests; prints one line that says which one is used.

Order: MAPPER_CHROMIUM, an installed chromium or google-chrome, the one Playwright has or can download, and as root
on a Debian the system's package. Exits 1 with a clear line when there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_INSTALL_LIMIT_S = 600.0


def find_browser() -> str | None:
    """Path of a Chromium that is there already; nothing is installed."""
    named = os.environ.get("MAPPER_CHROMIUM")
    if named:
        return named if _starts(named) else None
    return _installed() or _of_playwright()


def install_browser() -> str | None:
    """Install one, Playwright's first; None when neither way works."""
    if _ran([sys.executable, "-m", "playwright", "install", "chromium"]) and (found := _of_playwright()):
        return found
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        _ran(["apt-get", "update", "-qq"], quiet)
        _ran(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], quiet)
    return _installed()


def _installed() -> str | None:
    """A browser of the system. One that does not start is passed over: some systems ship a stub of that name."""
    paths = [*(shutil.which(name) for name in NAMES), str(MAC)]
    return next((path for path in paths if path and _starts(path)), None)


def _starts(path: str) -> bool:
    return os.access(path, os.X_OK) and _ran([path, "--version"])


def _of_playwright() -> str | None:
    """Playwright's own download, if it is there and starts; a download alone may lack system libraries."""
    try:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            path = playwright.chromium.executable_path
    except Exception:  # whatever is wrong with it, it is not usable
        return None
    return path if _starts(path) else None


def _ran(command: list[str], environ: dict[str, str] | None = None) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_INSTALL_LIMIT_S, env=environ)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def main() -> int:
    """Print the browser that is used; 1 when there is none."""
    named = os.environ.get("MAPPER_CHROMIUM")
    found = find_browser()
    if found is None and named:
        print(f"browser: MAPPER_CHROMIUM={named} cannot be executed; name an existing Chromium or unset it")
        return 1
    found = found or install_browser()
    if found is None:
        print("browser: no Chromium found or installable; install one, or set MAPPER_CHROMIUM to its path")
        return 1
    print(f"browser: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
