"""`mapper demo`: both systems as a sandbox with sample orders, and the app; or one run without it, checked.

Everything stands in one folder that is made anew at each start: the sandbox keeps its books in memory, so a store of
yesterday would know invoices that are gone.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from mapper_ai.errors import MapperError

if TYPE_CHECKING:
    from connectors.sandbox.server import Sandbox
    from mapper_ai.services.demo_check import Verdict

DEFAULT_FOLDER = ".mapper/demo"
SAMPLES_A_FLOW = 25
DEFAULT_PORT = 8501
_MARKER = "made-by-mapper-demo"
_PROJECT = Path(__file__).resolve().parents[2]
_APP_READY_S = 60.0
_RUN_LIMIT_S = 1800.0
_SHOWN_DIFFERENCES = 20
# None of the real connections may reach a child of the demo.
_FOREIGN = ("FRESHBOOKS_", "CLARITY_", "MAPPER_")


class DemoError(MapperError):
    """The demo cannot start; one line that says how to mend it."""


@dataclass(frozen=True)
class Place:
    """The demo's folder."""

    folder: Path

    @property
    def mappings(self) -> Path:
        """Copies of the approved mappings; the app writes here."""
        return self.folder / "mappings"

    @property
    def workspace(self) -> Path:
        """Drafts, samples and runner jobs of the app."""
        return self.folder / "workspace"


def main(argv: Sequence[str]) -> int:
    """Run the demo.

    Returns:
        0 done; 1 when books and labels differ, or the demo cannot start; 2 usage.
    """
    arguments = _parser().parse_args(argv)
    try:
        with _place(arguments.keep) as place:
            return _headless(arguments, place) if arguments.headless else _with_app(arguments, place)
    except DemoError as error:
        print(f"mapper demo: {error.message}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mapper demo",
        description="Stand-ins of Clarity and FreshBooks on this machine, sample orders, and the app.",
        epilog="examples:\n  mapper demo\n  mapper demo --headless --orders 200",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--headless", action="store_true", help="run once without the app, check the result, end")
    parser.add_argument("--port", type=_port, default=None, help=f"of the app (default {DEFAULT_PORT}, or a free one)")
    parser.add_argument("--orders", type=_count, default=60, help="how many sample orders (default 60)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same orders (default 7)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help=f"folder for everything (default {DEFAULT_FOLDER}, made anew)"
    )
    return parser


def _headless(arguments: argparse.Namespace, place: Place) -> int:
    from connectors.sandbox.generator import generate
    from mapper_ai.services.demo_check import compare

    with _sandbox(arguments) as sandbox:
        environ = _environ(sandbox, place)
        command = [sys.executable, "-m", "sync", "run", "--mappings", str(place.mappings), "--json"]
        began = time.monotonic()
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=_RUN_LIMIT_S)
        elapsed_s = time.monotonic() - began
        try:
            report = json.loads(ran.stdout, parse_float=Decimal)
        except ValueError:
            last = (ran.stderr.strip().splitlines() or [f"the runner ended with exit code {ran.returncode}"])[-1]
            raise DemoError(last.removeprefix("mapper-sync: ")) from None
        with sandbox.state.lock:
            books = sandbox.state.freshbooks.tables
            invoices = [row for row in books["invoice"].values() if row["vis_state"] != 1]
            payments = [row for row in books["payment"].values() if row["vis_state"] != 1]
            others = {name: len(books[name]) for name in ("client", "item")}
    verdict = compare(
        generate(arguments.seed, arguments.orders), invoices, payments, report.get("status", {}).get("held", [])
    )
    print(_told(arguments, verdict, others, report, elapsed_s))
    return 1 if verdict.differences or report.get("stopped") or report.get("problems") else 0


def _told(
    arguments: argparse.Namespace,
    verdict: Verdict,
    others: Mapping[str, int],
    report: Mapping[str, Any],
    elapsed_s: float,
) -> str:
    lines = [f"Demo: {arguments.orders} orders, seed {arguments.seed}; one run took {elapsed_s:.1f} s"]
    for title, sums in (("Invoices", verdict.invoices), ("Payments", verdict.payments)):
        lines.append(f"{title} posted: {sum(count for count, _ in sums.values())}")
        lines += [f"  {code}  {count:>4}  {amount:>14,f}" for code, (count, amount) in sums.items()]
    lines.append(f"Clients: {others['client']}, items: {others['item']}")
    lines.append(f"Orders held: {sum(verdict.held.values())}")
    lines += [f"  {reason:<24} {count:>4}" for reason, count in verdict.held.items()]
    for problem in [*report.get("problems", []), *([report["stopped"]] if report.get("stopped") else [])]:
        lines.append(f"Problem: {problem}")
    wanted = f"{verdict.must_post} must post, {verdict.must_hold} must be held"
    if not verdict.differences:
        lines.append(f"Agrees with the labels of the sample orders: {wanted}; every total equal to the cent.")
        return "\n".join(lines)
    lines.append(f"Differs from the labels of the sample orders ({wanted}): {len(verdict.differences)} differences")
    lines += [f"  {line}" for line in verdict.differences[:_SHOWN_DIFFERENCES]]
    if len(verdict.differences) > _SHOWN_DIFFERENCES:
        lines.append(f"  ... and {len(verdict.differences) - _SHOWN_DIFFERENCES} more")
    return "\n".join(lines)


def _with_app(arguments: argparse.Namespace, place: Place) -> int:
    from mapper_ai.services.runner_control import KINDS, RunnerControl

    app = _PROJECT / "app.py"
    if not app.is_file():
        raise DemoError(f"{app}: the app is not there; install the project with its extra 'studio'")
    port = arguments.port if arguments.port is not None else _free_port(DEFAULT_PORT)
    with _stop_signals() as stop, _sandbox(arguments) as sandbox:
        environ = _environ(sandbox, place)
        _store_samples(place, sandbox)
        with (place.folder / "app.log").open("wb") as log:
            child = subprocess.Popen(
                _app_command(app, port),
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to this process alone, which then ends the child in order.
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_ready(child, url, stop, place)
            print(f"App                 {url}")
            print(f"FreshBooks sandbox  {sandbox.freshbooks_url}")
            print(f"Clarity sandbox     {sandbox.clarity_url}  ({arguments.orders} orders, seed {arguments.seed})")
            print(f"Folder              {place.folder}")
            print("Stop with Ctrl+C.", flush=True)
            if sys.stdout.isatty():
                webbrowser.open(url)
            while not stop.wait(0.5):
                if child.poll() is not None:
                    raise DemoError(f"the app has ended (exit code {child.returncode}); see {place.folder / 'app.log'}")
        finally:
            control = RunnerControl(place.workspace / "jobs", place.mappings)
            for kind in KINDS:
                control.stop(kind)
            _end(child)
    return 0


def _store_samples(place: Place, sandbox: Sandbox) -> None:
    """Give every flow some of the shop's records, so that the first page already shows what the rules make of them."""
    from mapper_ai.services.workspace import Sample, Workspace

    work = Workspace.open(place.workspace, mappings=place.mappings)
    for card in work.flows():
        entity = work.spec(card.name).source.entity
        with sandbox.state.lock:
            records = list(sandbox.state.clarity.lists[f"{entity}s"].values())[:SAMPLES_A_FLOW]
        work.set_samples(card.name, [Sample(f"{entity} {record['id']}", record) for record in records])


def _app_command(app: Path, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "streamlit", "run", str(app)),
        *("--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"),
        *("--server.fileWatcherType", "none", "--browser.gatherUsageStats", "false"),
        *("--client.toolbarMode", "viewer"),
    ]


def _environ(sandbox: Sandbox, place: Place) -> dict[str, str]:
    """The environment of the children: the sandbox, and nothing of a real connection."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    user, samples = os.environ.get("MAPPER_USER"), os.environ.get("MAPPER_SAMPLES")
    return {
        **kept,
        "FRESHBOOKS_API_URL": sandbox.freshbooks_url,
        "FRESHBOOKS_ACCOUNT_ID": sandbox.account_id,
        "FRESHBOOKS_ACCESS_TOKEN": sandbox.access_token,
        "CLARITY_API_URL": sandbox.clarity_url,
        "CLARITY_CLIENT_ID": sandbox.client_id,
        "CLARITY_CLIENT_SECRET": sandbox.client_secret,
        "CLARITY_WEBHOOK_SECRET": sandbox.webhook_secret,
        "MAPPER_STORE_URL": f"sqlite:///{place.folder / 'mapper.db'}",
        "MAPPER_CONFIG": str(place.folder / "mapper.toml"),
        "MAPPER_WORKSPACE": str(place.workspace),
        "MAPPER_MAPPINGS": str(place.mappings),
        # The sandbox settles at once; the usual 20 s are for a system far away.
        "MAPPER_SETTLE_S": "1",
        **({"MAPPER_USER": user} if user else {}),
        **({"MAPPER_SAMPLES": samples} if samples else {}),
    }


@contextmanager
def _sandbox(arguments: argparse.Namespace) -> Iterator[Sandbox]:
    from connectors.sandbox.server import Sandbox

    sandbox = Sandbox()
    sandbox.seed(seed=arguments.seed, orders=arguments.orders)
    try:
        sandbox.start()
    except OSError as error:
        raise DemoError(f"the sandbox cannot listen on 127.0.0.1 ({error.strerror or error})") from None
    try:
        yield sandbox
    finally:
        sandbox.stop()


@contextmanager
def _place(wanted: Path | None) -> Iterator[Place]:
    """The folder, made anew and held by this process until the end.

    Raises:
        DemoError: It holds something that no demo made, another demo works in it, or there are no mappings.
    """
    folder = (wanted or Path(DEFAULT_FOLDER)).absolute()
    source = _mappings()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = (folder.parent / f".{folder.name}.lock").open("w")
    except OSError as error:
        raise DemoError(f"{folder}: cannot be made ({error.strerror})") from None
    with lock:
        _hold(lock, folder)
        if folder.exists() and not (folder / _MARKER).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise DemoError(f"{folder}: holds other things; give an empty or new folder with --keep")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        (folder / _MARKER).write_text("This folder is emptied at the next start of the demo.\n", "utf-8")
        (folder / "mapper.toml").write_text("", "utf-8")
        place = Place(folder)
        shutil.copytree(source, place.mappings)
        yield place


def _hold(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DemoError(f"{folder}: another demo works here; stop it, or give another folder with --keep") from None


def _mappings() -> Path:
    for base in (Path.cwd(), _PROJECT):
        folder = base / "mappings" / "clarity-freshbooks"
        if folder.is_dir():
            return folder
    raise DemoError("mappings/clarity-freshbooks: not found; start the demo in the project's folder")


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_ready(child: subprocess.Popen[bytes], url: str, stop: threading.Event, place: Place) -> None:
    deadline = time.monotonic() + _APP_READY_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while not stop.is_set():
        if child.poll() is not None:
            raise DemoError(f"the app did not start; see {place.folder / 'app.log'}")
        try:
            with opener.open(f"{url}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise DemoError(f"the app does not answer at {url}; see {place.folder / 'app.log'}") from None
        stop.wait(0.2)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 100_000:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to 100000, got {text!r}")
    return int(text)
