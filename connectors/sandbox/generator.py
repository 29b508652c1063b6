"""Seeded, realistic and awkward Clarity `rest` orders, each labelled with what must become of it.

The label is what the mapping and the runner are tried against: every "post" must end as an invoice whose total
is the order's, every "hold" must be held for its reason. Nothing here depends on mapspec or sync.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from connectors.sandbox.generator_amounts import AMOUNTS
from connectors.sandbox.generator_events import customers, dumps_exact, events, payments, products, refunds, to_ndjson
from connectors.sandbox.generator_forms import FORMS, REWRITES
from connectors.sandbox.generator_hold import HOLD
from connectors.sandbox.generator_mint import Mint
from connectors.sandbox.generator_mixed import generate_mixed
from connectors.sandbox.generator_order import Case, Payload, captured_sum

__all__ = [
    "HOLD_REASONS",
    "POST_TAGS",
    "Case",
    "customers",
    "dumps_exact",
    "events",
    "generate",
    "generate_mixed",
    "payments",
    "products",
    "refunds",
    "to_ndjson",
]

_POST: dict[str, Callable[[Mint], Payload]] = {**AMOUNTS, **FORMS}
POST_TAGS = tuple(_POST)
HOLD_REASONS = tuple(HOLD)
# two reasons come twice a round: with them a quarter of a round is held
_ROUND = (*POST_TAGS, *HOLD_REASONS, "totals-do-not-add-up", "tax-does-not-agree")
# rewrites that would take away what the scenario is about
_CONTRADICTIONS = {
    ("attributes-object", "attributes-list"),
    ("near-midnight", "date-without-offset"),
    ("date-with-milliseconds", "date-without-offset"),
}


def generate(seed: int, count: int, *, start: date = date(2026, 3, 1)) -> list[Case]:
    """Make orders, oldest first, about 37 minutes apart.

    Scenarios are dealt like cards: a shuffled round contains every tag and every reason, then the next round
    begins; any 200 consecutive cases contain all of them. A shorter run is the beginning of a longer one.

    Args:
        seed: Equal seeds give equal cases.
        count: How many, 0 or more.
        start: Calendar day of the first order in the store's zone (America/New_York).

    Raises:
        ValueError: count is negative.
    """
    if count < 0:
        raise ValueError("count must not be negative")
    mint = Mint(seed, start)
    cases: list[Case] = []
    pending: list[str] = []
    for index in range(count):
        if not pending:
            pending = mint.random.sample(_ROUND, len(_ROUND))
        scenario = pending.pop()
        mint.begin(index)
        order = (_POST.get(scenario) or HOLD[scenario])(mint)
        if mint.chance(15):
            rewrite = mint.pick(tuple(REWRITES))
            if rewrite != scenario and (scenario, rewrite) not in _CONTRADICTIONS:
                REWRITES[rewrite](mint, order)
                mint.tags.add(rewrite)
        held = scenario in HOLD
        cases.append(
            Case(
                order=order,
                label="hold" if held else "post",
                reason=scenario if held else "",
                tags=(scenario, *sorted(mint.tags - {scenario})),
                payments=captured_sum(order),
            )
        )
    return cases
