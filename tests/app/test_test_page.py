"""The Test page: fields and checks over the samples, planned calls, and what differs from the saved file."""

from __future__ import annotations

from studio_app import FLOW, Studio, shown

from mapper_ai.services.workspace import Sample


def test_fields_and_checks_say_what_fails_on_which_sample(studio: Studio) -> None:
    work = studio.propose()
    record = work.samples(FLOW)[0].record
    work.set_samples(FLOW, [Sample("fine", record), Sample("broken", {**record, "orderDate": "yesterday"})])
    app = studio.page("test", flow=FLOW, show="Fields & checks")
    table = app.dataframe[0].value.set_index("Field or check")
    assert table.loc["invoice.create_date", "Fail"] == "1"
    assert "broken: " in table.loc["invoice.create_date", "First of them"]
    assert "fields and checks fail on a sample" in shown(app)
    assert len(app.get("vega_lite_chart")) == 1
    app.toggle(key="matrix-only").set_value(False).run()
    assert len(app.dataframe[0].value) > len(table)


def test_planned_calls_have_counts_sums_and_bodies(studio: Studio) -> None:
    studio.propose()
    app = studio.page("test", flow=FLOW, show="Planned calls")
    steps = app.dataframe[0].value.set_index("Step")
    assert int(steps.loc["create once: invoice", "How many"]) > 5
    assert "USD" in steps.loc["create once: invoice", "Sums"]
    assert '"email"' in "\n".join(str(entry.value) for entry in app.code)


def test_the_difference_to_the_saved_file_is_shown_for_a_sample(studio: Studio) -> None:
    work = studio.propose()
    work.adopt(studio.mappings / f"{FLOW}.yaml")
    app = studio.page("test", flow=FLOW, sample="plain-card")
    app.segmented_control(key="test-way").select("Difference to the saved file").run()
    assert "makes the same of this sample" in shown(app)
    digest = next(row.digest for row in work.rows(FLOW) if row.part == "invoice.po_number")
    work.set_steps(FLOW, "invoice.po_number", "- {const: PO-9}", digest=digest)
    app = studio.page("test", flow=FLOW, sample="plain-card")
    app.segmented_control(key="test-way").select("Difference to the saved file").run()
    assert '+      "po_number": "PO-9"' in shown(app)
