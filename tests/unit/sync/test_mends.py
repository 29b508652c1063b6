"""Every reason of the sources has its mend: the ids are collected from the code, so a new one is not forgotten."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapspec import load_spec
from sync.mends import MENDS, mend_of

ROOT = Path(__file__).resolve().parents[3]
CALLS = {"held", "dead", "later", "waiting", "Reason", "hold"}
"""What takes a reason id first."""

NO_REASONS = {"mapspec/checks.py", "mapspec/lint.py", "mapspec/diff.py"}
"""Their ids are findings about a mapping, for its author."""


def ids_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            if name in CALLS and node.args:
                yield from texts(node.args[0])
            if name == "miss" and len(node.args) > 1:
                yield from texts(node.args[1])
            if name == "add_note" and len(node.args) > 2:
                yield from texts(node.args[2])
            for keyword in node.keywords:
                if keyword.arg == "reason" and name == "TransformError":
                    yield from texts(keyword.value)
        if isinstance(node, ast.Dict):
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
            if keys == ["id", "message"]:
                yield from texts(node.values[0])
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "reason":
            yield from texts(node.value)
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") in ("REASON", "NOT_LOOKED_UP"):
            yield from texts(node.value)
        if isinstance(node, ast.arg | ast.FunctionDef) and getattr(node, "name", "") == "__init__":
            named = zip(reversed(node.args.kwonlyargs), reversed(node.args.kw_defaults), strict=True)
            yield from (text for arg, value in named if arg.arg == "reason" for text in texts(value))


def texts(node: ast.AST | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.Tuple):
        yield from (text for part in node.elts for text in texts(part))


def found() -> set[str]:
    files = [*(ROOT / "sync").rglob("*.py"), *(ROOT / "mapspec").rglob("*.py")]
    ids = set()
    for file in files:
        if file.relative_to(ROOT).as_posix() not in NO_REASONS:
            ids |= set(ids_of(ast.parse(file.read_text("utf-8"))))
    return {text for text in ids if text and " " not in text}


def test_every_reason_of_the_sources_has_a_mend() -> None:
    ids = found()
    assert {"rejected", "total-differs", "gave-up", "no-record-id", "bad-date", "check-failed", "clarity-auth"} <= ids
    assert ids - set(MENDS) == set()


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("several-clients", "Merge them"),
        ("client-deleted", "Restore it"),
        ("cancelled-after-invoice", "by hand"),
        ("assumption-A19", "mapper.toml"),
        ("unknown-item", "Create it"),
        ("not-payment", "leaves this part out"),
    ],
)
def test_made_up_reasons_have_one_by_their_family(reason: str, says: str) -> None:
    assert says in mend_of(reason)


def test_rules_of_a_mapping_share_one() -> None:
    for file in (ROOT / "mappings").rglob("*.yaml"):
        spec = load_spec(file.read_text("utf-8"))
        for rule in (*spec.gate, *spec.assertions):
            assert mend_of(rule.id).endswith("."), rule.id
    assert "rule of the mapping" in mend_of("a-rule-of-ours")


def test_a_mend_is_one_sentence() -> None:
    for reason, mend in MENDS.items():
        assert mend.endswith(".") and ". " not in mend and len(mend) < 140, reason
