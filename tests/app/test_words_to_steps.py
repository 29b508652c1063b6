"""«Write the steps» on the Review page: from plain words to steps that are looked at, saved and then decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from studio_app import FLOW, Studio, button, press, shown

from tests.llm_stub import running_stub, task_of

PART = "invoice.po_number"


def editing(studio: Studio) -> AppTest:
    app = studio.page("review", flow=FLOW, part=PART, filter="All")
    return press(app, "edit")


def test_words_become_steps_that_are_saved_as_any_others(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio.propose()
    assert not [entry for entry in editing(studio).button if entry.key == "write-steps"]  # no model, no offer of it
    good = {"steps": [{"op": "path", "path": "orderNumber"}, {"op": "trim"}], "why": "the number as it is"}
    answers = iter([json.dumps(good), "no steps at all", "no steps at all", "no steps at all"])
    (tmp_path / "mapper.toml").write_text('[llm]\nmodel = "clerk"\ncache = ""\nretries = 0\n', "utf-8")
    with running_stub(lambda _body: next(answers)) as stub:
        monkeypatch.setenv("OPENAI_BASE_URL", stub.url)
        app = editing(studio)
        assert button(app, "write-steps").disabled
        app.text_input(key=f"words-{FLOW}-{PART}").set_value("the order number without blanks").run()
        press(app, "write-steps")
        assert task_of(stub.bodies[0]) == "write_steps"
        text = shown(app)
        assert "Written by the language model; look at the result, then save" in text
        assert "the number as it is" in text
        assert "The steps work. This is what they make of the samples:" in text
        before = next(row for row in studio.work.rows(FLOW) if row.part == PART)
        assert "poNumber" in before.steps  # nothing is taken before it is saved
        press(app, "save-steps")
        row = next(row for row in studio.work.rows(FLOW) if row.part == PART)
        assert (row.steps, row.state) == ("- {path: orderNumber}\n- {trim: }", "proposed")

        app.text_input(key=f"words-{FLOW}-{PART}").set_value("something it cannot do").run()
        press(app, "write-steps")
        assert "The language model could not help" in shown(app)
        assert next(one for one in studio.work.rows(FLOW) if one.part == PART).steps == row.steps
