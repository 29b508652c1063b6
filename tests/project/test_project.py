"""What the project says of itself: commands that are documented work, layers hold, words stay out."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[Path]:
    """Files git tracks; in an export without git, all files."""
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    module = {"mapper": "mapper_ai", "mapper-sync": "sync"}[words[0]]
    return subprocess.run(
        [sys.executable, "-m", module, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


MAPPER = (
    "demo",
    "app",
    "sandbox",
    "profile",
    "suggest",
    "systems",
    "llm",
    "validate",
    "preview",
    "show",
    "explain",
    "schema",
    "approve",
    "review",
    "drift",
    "install-git",
    "git-driver",
    "decisions",
    "bench",
    "fmt",
)
SYNC = (
    "run",
    "serve",
    "work",
    "status",
    "errors",
    "story",
    "replay",
    "skip",
    "alias",
    "pause",
    "resume",
    "audit",
    "top",
    "alerts",
    "backup",
    "restore",
    "forget",
    "auth",
    "doctor",
    "webhooks",
    "drift",
    "backfill",
    "caps",
    "adopt",
    "rebuild",
    "reconcile",
    "proposals",
)


@pytest.mark.parametrize("words", [("mapper",), ("mapper-sync",)])
def test_the_help_lists_every_command(words: tuple[str]) -> None:
    answer = command(*words, "--help")
    assert answer.returncode == 0
    for name in MAPPER if words == ("mapper",) else SYNC:
        assert re.search(rf"^\s+{name}\b", answer.stdout, re.MULTILINE), name


@pytest.mark.parametrize(
    "words", [*(("mapper", name) for name in MAPPER), *(("mapper-sync", name) for name in SYNC)], ids=" ".join
)
def test_every_command_explains_itself_with_an_example(words: tuple[str, str]) -> None:
    answer = command(*words, "--help")
    assert answer.returncode == 0
    assert "example" in answer.stdout.lower()


def test_commands_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    for program, name in re.findall(r"(?:^|`)(mapper|mapper-sync) ([a-z]+(?:-[a-z]+)*)", text, re.MULTILINE):
        assert name in (MAPPER if program == "mapper" else SYNC), f"{program} {name}"


@pytest.mark.parametrize(
    ("program", "forbidden"),
    [
        ("mapper_ai", {"streamlit", "sklearn", "openai", "numpy", "httpx2", "sqlalchemy", "pydantic"}),
        ("sync", {"streamlit", "sklearn", "openai", "numpy", "httpx2", "sqlalchemy", "pydantic"}),
    ],
)
def test_help_loads_nothing_heavy(program: str, forbidden: set[str]) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{program}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('{program}', run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        "print('LOADED', *sorted(sys.modules))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.rsplit("LOADED", 1)[1].split())
    assert loaded & forbidden == set()


def test_preview_loads_neither_the_suggester_nor_the_app() -> None:
    code = (
        "import sys\n"
        "from mapper_ai.__main__ import main\n"
        "try:\n"
        "    main(['preview', 'mappings/clarity-freshbooks/order-to-invoice.yaml', '--sample',"
        " 'fixtures/clarity/order__plain-card.json', '--json'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print('LOADED', *sorted(sys.modules))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(answer.stdout.rsplit("LOADED", 1)[1].split()) & {"streamlit", "sklearn", "numpy", "sqlalchemy"} == set()


def test_without_a_language_model_openai_is_neither_loaded_nor_needed(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['openai'] = None\n"  # an import of it fails
        "from mapper_ai.__main__ import main\n"
        "gold = 'fixtures/gold/etsy_sage_invoice/'\n"
        "ends = ['--source', gold + 'source.json', '--target', 'freshbooks:invoice']\n"
        f"code = main(['suggest', *ends, '--spec', {str(tmp_path / 'made.yaml')!r}])\n"
        "assert code in (0, 1), code\n"
        "print('LOADED', *sorted(name for name in sys.modules if name.startswith(('openai', 'mapper_ai.llm'))))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.rsplit("LOADED", 1)[1].split() == ["openai"]


def test_one_module_imports_openai_and_one_builds_prompts() -> None:
    for path in tracked("mapper_ai/*.py", "sync/*.py", "connectors/*.py", "mapspec/*.py", "app.py"):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        if name != "mapper_ai/llm/endpoint.py":
            assert not re.search(r"^\s*(import|from) openai", text, re.MULTILINE), name
        if name != "mapper_ai/llm/prompts.py":
            # Only `compose` makes prompts, only `told_...` what goes into them.
            assert not re.search(r"\b(Prompt|Told)\(", text), name


def test_the_review_needs_no_studio_packages() -> None:
    code = (
        "import sys\n"
        "from mapper_ai.services.review.formats import FORMATS\n"
        "from mapper_ai.services.review.run import review\n"
        "from mapper_ai.services import drifting, gitmerge\n"
        "print('LOADED', *sorted(sys.modules))\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.rsplit("LOADED", 1)[1].split())
    assert loaded & {"streamlit", "sklearn", "numpy", "rapidfuzz", "duckdb", "openai"} == set()


def test_nobody_imports_the_app() -> None:
    for path in tracked("*.py"):
        if path.name == "app.py" or "tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert "app" not in names, path


def test_no_machine_path_and_no_registry_address_is_in_the_tree() -> None:
    pattern = re.compile("/" + r"work/|/" + r"root/|--(extra-)?index-" + r"url|pypi\.org/" + "simple")
    for path in tracked():
        if path.suffix in {".png", ".svg"} or path == Path(__file__):
            continue
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_constraints_pin_names_and_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+-]+", line), line


def test_ci_runs_make_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "set -eu",
        'cd "$(dirname "$0")/.."',
        "exec make test",
    ]
