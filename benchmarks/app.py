"""The review page with many target fields: the first paint, and a decision shown; `python -m benchmarks.app [FIELDS]`.

A real Chromium on a real server. A decision is the key A or X: from the press until its counter shows one more. Wall
times of a busy machine say little; the processor time of the server for a decision is printed beside them.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mapper_ai.services.workspace import Sample, Workspace
from mapspec import dump_spec, load_spec

ROOT = Path(__file__).resolve().parents[1]
FIELDS, DECISIONS, IN_A_GROUP = 1000, 100, 50
FIRST_PAINT_S, DECISION_S = 4.0, 0.4
_FLOW = "order-to-record"
_LIMIT_S = 60.0
_IS_SHOWN = """pattern => {
  const wanted = new RegExp(pattern);
  return [...document.querySelectorAll("p")].some(one => wanted.test(one.textContent));
}"""


def app_benchmark(fields: int = FIELDS, decisions: int = DECISIONS) -> bool:
    """Print the timings; False when one of them is over its limit."""
    sys.path.insert(0, str(ROOT / "tests/browser"))
    from ensure_browser import find_browser

    path = find_browser()
    if path is None:
        print("app                  no Chromium: run tests/browser/ensure_browser.py")
        return False
    with tempfile.TemporaryDirectory() as folder:
        _prepare(Path(folder), fields)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port)],
            cwd=ROOT,
            env={
                **os.environ,
                "MAPPER_WORKSPACE": f"{folder}/workspace",
                "MAPPER_MAPPINGS": f"{folder}/mappings/big",
                "MAPPER_USER": "benchmark",
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            first, done = _measure(path, f"http://127.0.0.1:{port}", server.pid, decisions)
        finally:
            server.terminate()
            server.wait(30)
    print(f"app                  {fields} fields: first paint {first:.2f} s")
    good = first < FIRST_PAINT_S
    for name, (times, spent) in done.items():
        late = sorted(times)[max(0, round(0.95 * len(times)) - 1)]
        good = good and late < DECISION_S
        print(
            f"  {name:<18} shown p50 {statistics.median(times):.3f} s, p95 {late:.3f} s of {len(times)};"
            f" server {spent:.3f} s of processor each"
        )
    return good


def _prepare(folder: Path, fields: int) -> None:
    mappings = folder / "mappings/big"
    mappings.mkdir(parents=True)
    names = [(f"group_{n // IN_A_GROUP}", n) for n in range(fields)]
    rules = {
        f"record.{group}.field_{n}": {
            "steps": [{"path": f"{group}.source_{n}"}, {"trim": None}],
            "origin": {"by": "learned", "confidence": "0.91", "why": {"name": "+2.1"}},
        }
        for group, n in names
    }
    text = ["spec: big/order-to-record", "format: 1", "version: 1", "source: {system: samples, entity: order}"]
    text += ["targets: {record: samples/record}", "fields:"]
    for part, rule in rules.items():
        source = rule["steps"][0]["path"]  # type: ignore[index]
        text += [f"  {part}:", f"    steps: [{{path: {source}}}, {{trim: }}]"]
        text += ['    origin: {by: learned, confidence: "0.91", why: {name: "+2.1"}}']
    (mappings / f"{_FLOW}.yaml").write_text(dump_spec(load_spec("\n".join(text) + "\n")), "utf-8")
    samples = []
    for number in range(20):
        record: dict[str, Any] = {"id": str(number)}
        for group, n in names:
            record.setdefault(group, {})[f"source_{n}"] = f"value {n} of {number}"
        samples.append(Sample(f"order {number}", record))
    Workspace.open(folder / "workspace", mappings=mappings).set_samples(_FLOW, samples)


def _measure(browser: str, url: str, pid: int, decisions: int) -> tuple[float, dict[str, tuple[list[float], float]]]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = launched.new_page(viewport={"width": 1400, "height": 900})
        _until_up(url)
        # What every page needs is in the browser's cache by then; the mapping was not looked at by anybody.
        page.goto(f"{url}/settings")
        page.get_by_text("development identity").first.wait_for(timeout=_LIMIT_S * 1000)
        began = time.perf_counter()
        page.goto(f"{url}/review?flow={_FLOW}")
        page.locator("[data-testid=stDataFrame] canvas").first.wait_for(timeout=_LIMIT_S * 1000)
        page.get_by_role("button", name="Accept", exact=False).first.wait_for(timeout=_LIMIT_S * 1000)
        first = time.perf_counter() - began
        done = {
            "an approval": _decided(page, pid, decisions, "a", r"^{} of \d+ parts approved$"),
            "a rejection": _decided(page, pid, max(1, decisions // 2), "x", r"^Rejected {}$"),
        }
        launched.close()
    return first, done


def _decided(page: Any, pid: int, decisions: int, key: str, shown: str) -> tuple[list[float], float]:
    """Seconds until each decision was shown, and the server's processor seconds for one."""
    page.wait_for_function("document.querySelector('[data-test-script-state=notRunning]') !== null")
    before, times = _processor_s(pid), []
    for number in range(1, decisions + 1):
        began = time.perf_counter()
        page.keyboard.press(key)
        # Asked at every frame: a locator looks ever more rarely, after 0.3 s only every half second.
        page.wait_for_function(_IS_SHOWN, arg=shown.format(number), timeout=_LIMIT_S * 1000)
        times.append(time.perf_counter() - began)
        page.wait_for_function("document.querySelector('[data-test-script-state=notRunning]') !== null")
    return times, (_processor_s(pid) - before) / decisions


def _until_up(url: str) -> None:
    import urllib.request

    end = time.monotonic() + _LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):  # noqa: S310  our own address
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _processor_s(pid: int) -> float:
    """Processor time of a process so far; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(0 if app_benchmark(*map(int, sys.argv[1:])) else 1)
