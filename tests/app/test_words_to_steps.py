"""«Write the steps» on the Review page: from plain words to steps that are looked at, saved and then decided."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from studio_app import FLOW, Studio, button, press, shown

from mapper_ai.services import background
from mapper_ai.services.workspace import TargetRow
from mapper_ai.ui.parts.editor import writer_of
from tests.llm_stub import Stub, running_stub, task_of

PART = "invoice.po_number"
WORDS = f"words-{FLOW}-{PART}"
GOOD = {"steps": [{"op": "path", "path": "orderNumber"}, {"op": "trim"}], "why": "the number as it is"}
AS_TEXT = "- {path: orderNumber}\n- {trim: }"


def editing(studio: Studio) -> AppTest:
    app = studio.page("review", flow=FLOW, part=PART, filter="All")
    return press(app, "edit")


@pytest.fixture
def stub(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    (tmp_path / "mapper.toml").write_text('[llm]\nmodel = "clerk"\ncache = ""\nretries = 0\n', "utf-8")
    with running_stub(lambda _body: json.dumps(GOOD)) as started:
        monkeypatch.setenv("OPENAI_BASE_URL", started.url)
        studio.propose()
        yield started
    background.clear(writer(studio))


def writer(studio: Studio) -> str:
    return writer_of(studio.work, FLOW, PART, "ana")


def ask(studio: Studio, app: AppTest, words: str) -> AppTest:
    app.text_input(key=WORDS).set_value(words).run()
    return press(app, "write-steps")


def answered(studio: Studio, app: AppTest) -> str:
    background.wait(writer(studio), 60)
    return shown(app.run())


def row(studio: Studio) -> TargetRow:
    return next(row for row in studio.work.rows(FLOW) if row.part == PART)


def test_without_a_model_nobody_is_offered_its_help(studio: Studio) -> None:
    studio.propose()
    assert not [entry for entry in editing(studio).button if entry.key == "write-steps"]


def test_words_become_steps_that_are_saved_as_any_others(studio: Studio, stub: Stub) -> None:
    app = editing(studio)
    assert button(app, "write-steps").disabled
    ask(studio, app, "the order number without blanks")
    text = answered(studio, app)
    assert task_of(stub.bodies[0]) == "write_steps"
    assert "Written by the language model" in text
    assert "the number as it is" in text
    assert "The steps work. This is what they make of the samples:" in text
    assert "poNumber" in row(studio).steps  # nothing is taken before it is saved
    press(app, "save-steps")
    assert (row(studio).steps, row(studio).state) == (AS_TEXT, "proposed")

    stub.answer = lambda _body: "no steps at all"
    ask(studio, app, "something it cannot do")
    assert "The language model could not help" in answered(studio, app)
    assert row(studio).steps == AS_TEXT
    assert not button(app, "write-steps").disabled


@pytest.fixture
def gate(stub: Stub) -> Iterator[threading.Event]:
    """The model answers when it is set."""
    opened = threading.Event()

    def answer(_body: dict[str, Any]) -> str:
        opened.wait(60)
        return json.dumps(GOOD)

    stub.answer = answer
    yield opened
    opened.set()


def test_the_page_goes_on_while_the_model_thinks_and_what_is_cancelled_is_not_taken(
    studio: Studio, stub: Stub, gate: threading.Event
) -> None:
    app = ask(studio, editing(studio), "the order number without blanks")
    assert "The language model writes the steps" in shown(app)
    assert not [entry for entry in app.button if entry.key == "write-steps"]
    press(app, f"cancel-{writer(studio)}")
    app.run()
    assert not button(app, "write-steps").disabled  # nobody waits for what was cancelled
    gate.set()
    assert "Written by the language model" not in answered(studio, app)
    assert app.text_area(key=steps_key(studio)).value == row(studio).steps
    ask(studio, app, "the order number without blanks")
    assert "Written by the language model" in answered(studio, app)


def test_steps_changed_while_the_model_thinks_stay(studio: Studio, stub: Stub, gate: threading.Event) -> None:
    app = ask(studio, editing(studio), "the order number without blanks")
    mine = "- {path: poNumber}\n- {upper: }"
    app.text_area(key=steps_key(studio)).set_value(mine).run()
    gate.set()
    text = answered(studio, app)
    assert app.text_area(key=steps_key(studio)).value == mine
    assert "You have changed the steps since you asked, so yours stay." in text
    assert AS_TEXT.splitlines()[0] in text


def steps_key(studio: Studio) -> str:
    return f"steps-{FLOW}-{PART}-{row(studio).digest}"
