"""A record's story in the order in which it happened, with the mapping's version behind what was written."""

from __future__ import annotations

from typing import Any

from mapper_ai.services.run_charts import runs, throughput, waiting
from mapper_ai.services.runner_control import Past
from mapper_ai.services.stories import bodies, moments

TOLD: dict[str, Any] = {
    "deliveries": [
        {
            "at": "2026-03-01T09:00:00+00:00",
            "from": "webhook",
            "event": "order.created",
            "version": "3",
            "state": "done",
            "tries": 2,
            "settled": "2026-03-01T09:00:05+00:00",
            "reasons": [],
            "payload": {"id": "1"},
        },
        {
            "at": "2026-03-01T10:00:00+00:00",
            "from": "poll",
            "event": "order.updated",
            "version": None,
            "state": "held",
            "tries": 1,
            "settled": "2026-03-01T10:00:01+00:00",
            "reasons": [{"id": "edited-after-invoice", "message": "it is sent", "mend": "correct it"}],
        },
    ],
    "attempts": [
        {
            "key": "clarity:invoice:1",
            "n": 1,
            "at": "2026-03-01T09:00:02+00:00",
            "outcome": "done",
            "request": {"method": "POST", "entity": "invoice"},
            "response": {"id": 7},
        }
    ],
    "ledger": [
        {
            "key": "clarity:invoice:1",
            "state": "confirmed",
            "phase": "sent",
            "remote_id": "7",
            "total": "11.80",
            "currency": "USD",
            "spec": "abcdef0123456789",
            "version": "3",
            "at": "2026-03-01T09:00:04+00:00",
        }
    ],
    "mappings": {"abcdef0123456789": "clarity-freshbooks/order-to-invoice v3"},
    "notes": [{"kind": "unknown-sku", "message": "TEA-1", "mend": "nothing"}],
    "by hand": [{"at": "2026-03-01T11:00:00+00:00", "who": "ana", "what": "replay", "detail": "", "subject": "x"}],
}


def test_moments_stand_in_order_from_the_webhook_to_the_invoice() -> None:
    found = moments(TOLD)
    assert [moment.what for moment in found] == [
        "delivered",
        "sent",
        "in the books",
        "done",
        "delivered",
        "held",
        "by hand",
        "note",
    ]
    assert found[2].text == (
        "clarity:invoice:1 sent as 7, 11.80 USD, by clarity-freshbooks/order-to-invoice v3 (abcdef012345)"
    )
    assert found[3].text == "order.created after 2 tries"
    assert (found[5].text, found[5].mend) == ("edited-after-invoice: it is sent", "correct it")


def test_bodies_are_those_that_were_asked_for() -> None:
    assert [name for name, _ in bodies(TOLD)] == [
        "2026-03-01T09:00:00+00:00 delivered: order.created",
        "2026-03-01T09:00:02+00:00 POST invoice: request",
        "2026-03-01T09:00:02+00:00 POST invoice: answer",
    ]


def test_pictures_hold_what_was_counted() -> None:
    steps = [{"at": f"2026-03-01T09:0{n}:00+00:00", "done": n, "held": 0, "dead": 0, "skipped": 0} for n in range(3)]
    for step in steps:
        step["wait_s"] = 4
    pace = {"span_s": 900, "steps": steps}
    assert [row["events"] for row in throughput(pace)["data"]["values"]] == [1, 2]
    assert [row["seconds"] for row in waiting(pace)["data"]["values"]] == [4, 4]
    bars = runs([Past("run", "done", 1_772_355_600.0, 1_772_355_600.0, "1 done")])["data"]["values"]
    assert (bars[0]["start"], bars[0]["end"]) == ("2026-03-01T09:00:00+00:00", "2026-03-01T09:00:01+00:00")
