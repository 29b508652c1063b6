"""`mapper review` on ten specs of 300 fields and 200 samples, beside `git diff` of the same commits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.timing import median_s

ROOT = Path(__file__).resolve().parents[1]
SPECS, FIELDS, SAMPLES = 10, 300, 200
STEPS = (
    "{trim: }",
    "{case: upper}",
    "{max_length: {n: 40, over: truncate}}",
    "{collapse_space: }",
    "{default: none}",
)


def _spec(number: int, *, changed: bool) -> str:
    lines = [
        f"spec: bench/flow-{number}",
        f"version: {2 if changed else 1}",
        "source: {system: shop, entity: order}",
        "targets: {invoice: books/invoice}",
        "flow:",
        '  - {id: invoice, do: create_once, target: invoice, key: ["{id}"]}',
        "fields:",
    ]
    for place in range(FIELDS):
        steps = [f"{{path: group{place % 10}.field{place}}}", STEPS[place % len(STEPS)]]
        if changed and place % 10 == 0:
            steps.append("{case: lower}")
        lines += [f"  invoice.field{place}:", f"    steps: [{', '.join(steps)}]"]
    return "\n".join(lines) + "\n"


def _sample(number: int) -> str:
    groups = {
        f"group{group}": {f"field{place}": f"Value {place} of {number}" for place in range(group, FIELDS, 10)}
        for group in range(10)
    }
    return json.dumps({"id": str(number), **groups})


def _repository(root: Path) -> None:
    person = {f"GIT_{who}_{what}": "bench" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**os.environ, **person, "GIT_CONFIG_GLOBAL": os.devnull}

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=root, env=env, check=True, stdout=subprocess.DEVNULL)

    for name in ("mappings", "samples"):
        (root / name).mkdir(parents=True)
    for number in range(SAMPLES):
        (root / "samples" / f"order__{number}.json").write_text(_sample(number), encoding="utf-8")
    git("init", "--quiet", "--initial-branch=main")
    for changed in (False, True):
        for number in range(SPECS):
            (root / "mappings" / f"flow-{number}.yaml").write_text(_spec(number, changed=changed), encoding="utf-8")
        git("add", "-A")
        git("commit", "--quiet", "-m", "change")


def review_benchmark() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="mapper-bench-") as folder:
        root = Path(folder)
        _repository(root)
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-m", "mapper_ai", "review", "--base", "HEAD~1", "--format", "markdown"]

        def run(command: list[str]) -> Callable[[], object]:
            return lambda: subprocess.run(command, cwd=root, env=env, stdout=subprocess.DEVNULL, check=False)

        took = median_s(run([*words, "--fail-on", "never"]))
        one = median_s(run([*words, "--fail-on", "never", "mappings/flow-0.yaml"]))
        peer = median_s(run(["git", "diff", "HEAD~1"]))
        print(
            f"mapper review        {took:.2f} s for {SPECS} changed specs of {FIELDS} fields and {SAMPLES} samples,"
            f" {one:.2f} s for one of them; git diff of the same {peer:.3f} s"
        )
