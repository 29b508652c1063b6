"""Steps in plain words, by a real endpoint that a test answers for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mapper_ai.errors import InputError
from mapper_ai.services import writing
from mapspec import load_spec
from tests.flows import MAPPINGS, order
from tests.llm_stub import Stub, running_stub

WORDS = "the order number without blanks"
PART = "invoice.po_number"
GOOD = {"steps": [{"op": "path", "path": "orderNumber"}, {"op": "trim"}], "why": "the number"}


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    with running_stub(lambda _body: json.dumps(GOOD)) as started:
        (tmp_path / "mapper.toml").write_text('[llm]\nmodel = "clerk"\ncache = ""\nretries = 0\n', "utf-8")
        monkeypatch.setenv("MAPPER_CONFIG", str(tmp_path / "mapper.toml"))
        monkeypatch.setenv("OPENAI_BASE_URL", started.url)
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        yield started


def write(cancel: threading.Event | None = None) -> writing.Written:
    spec = load_spec((MAPPINGS / "order-to-invoice.yaml").read_text("utf-8"))
    return writing.write_steps(spec, PART, WORDS, [order(), order("split-payment")], cancel)


def test_the_answer_is_steps_as_the_editor_writes_them_with_what_it_cost(stub: Stub) -> None:
    assert writing.problem() == ""
    written = write()
    assert written.steps == "- {path: orderNumber}\n- {trim: }"
    assert written.notes.startswith("the number\n")
    assert "1 of 1 question(s) answered; 120 tokens" in written.notes
    told = json.dumps(stub.bodies)
    assert WORDS in told
    assert order()["orderNumber"] not in told  # the words leave, no value of a record does


def test_what_does_not_hold_on_the_samples_is_never_shown(stub: Stub) -> None:
    stub.answer = lambda _body: json.dumps({**GOOD, "steps": [{"op": "path", "path": "/etc/passwd"}]})
    with pytest.raises(InputError) as refused:
        write()
    assert "\n" not in str(refused.value)
    assert len(stub.bodies) > 1  # it was told what was wrong, and asked again


def test_who_cancels_while_the_model_answers_pays_for_no_second_question(stub: Stub) -> None:
    cancel = threading.Event()

    def wrong(_body: dict[str, Any]) -> str:
        cancel.set()
        return "no steps at all"

    stub.answer = wrong
    with pytest.raises(InputError, match="not asked any more"):
        write(cancel)
    assert len(stub.bodies) == 1


def test_without_a_model_it_is_said_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mapper.toml").write_text("", "utf-8")
    monkeypatch.setenv("MAPPER_CONFIG", str(tmp_path / "mapper.toml"))
    assert "set model in [llm]" in writing.problem()
