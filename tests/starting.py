"""`mapper-sync` in processes of their own, without the second that a fresh Python needs to import it all.

The standard library's fork server imports the command once; each process is forked from it and can be killed like any
other. What a start of `python -m sync` itself does, other tests show.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.starting_imports"])


def mapper_sync(
    *arguments: str, environ: Mapping[str, str], folder: Path, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """One command, from its start to its end.

    Args:
        environ: All environment variables of the process.
        folder: What it works in.

    Raises:
        subprocess.TimeoutExpired: It did not end; it is killed.
    """
    with tempfile.TemporaryDirectory(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")) as place:
        out, told = Path(place, "out"), Path(place, "err")
        process = start(*arguments, environ=environ, folder=folder, out=out, told=told)
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, timeout_s)
        return subprocess.CompletedProcess(
            arguments, process.exitcode, out.read_text(encoding="utf-8"), told.read_text(encoding="utf-8")
        )


def start(
    *arguments: str,
    environ: Mapping[str, str],
    folder: Path,
    out: Path = Path(os.devnull),
    told: Path = Path(os.devnull),
) -> ForkServerProcess:
    """Start a command; what it writes goes to the files."""
    process = _CONTEXT.Process(target=_work, args=(arguments, dict(environ), folder, out, told), daemon=True)
    process.start()
    return process


def _work(arguments: tuple[str, ...], environ: dict[str, str], folder: Path, out: Path, told: Path) -> None:
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    for path, number in ((out, 1), (told, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.argv = ["mapper-sync", *arguments]
    from sync.__main__ import main

    sys.exit(main(arguments))
