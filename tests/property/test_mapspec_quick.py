"""The quick function of any spec gives the draft of going step by step for any record, or nothing; so do quick prices.

Longer than in the suite: `python -m tests.property.test_mapspec_quick SECONDS [SEED]` prints the first difference.
"""

from __future__ import annotations

import random
import sys
import time
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mapspec.errors import TransformError
from mapspec.lines import price_thoroughly
from mapspec.numbers import exactly
from mapspec.order_parts import OrderMoney, PricedOrder
from mapspec.ordinary import price_ordinary
from tests.property.test_mapspec_money import orders
from tests.random_specs import Maker, random_spec
from tests.two_ways import assert_same, both_ways

RECORDS = 6  # of one spec: compiling it takes longer than a record
BOUNDED = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def assert_both_ways(seed: int) -> int:
    """Map a few records of one spec; how many of them the quick function answered."""
    chance = Random(seed)  # noqa: S311 - nothing secret
    compiled = random_spec(chance)
    if compiled is None:
        return 0
    answered = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mapspec.lines.price_ordinary", ordinary_price)
        for _ in range(RECORDS):
            quick, thorough = both_ways(compiled, Maker(chance).record())
            assert_same(quick, thorough)
            answered += quick is not None
    return answered


def ordinary_price(order: OrderMoney) -> PricedOrder | None:
    """The ordinary price, compared with the thorough one."""
    quick = price_ordinary(order)
    if quick is not None:
        try:
            thorough = repr(price_thoroughly(order))
        except TransformError as error:
            thorough = error.reason
        assert repr(quick) == thorough
    return quick


@BOUNDED
@given(st.integers(0, 2**32))
def test_a_quick_draft_is_the_thorough_one(seed: int) -> None:
    assert_both_ways(seed)


def test_the_quick_function_answers_often_enough_for_a_difference_to_be_found() -> None:
    assert sum(assert_both_ways(seed) for seed in range(50)) > 50


TEXTS = ["0", "-0", "0.00", "-0.00", "1", "1.0", "-1", "0.0000001", "3.3333", "1E+1", "100", "99999999999999.99"]
NUMBERS = [Decimal(text) for text in TEXTS]


def altered(order: OrderMoney, chance: Random) -> OrderMoney:
    """The order with some of its numbers written another way, or other ones."""

    def other(number: Decimal | None) -> Decimal | None:
        kind = chance.randrange(40)
        if kind == 0:
            return chance.choice(NUMBERS)
        if number is None or kind > 8:
            return number
        return number + Decimal("0.0000") if kind < 6 else -number if kind == 6 and not number else number.normalize()

    def changed(part: Any) -> Any:
        fields = {name: value for name, value in part._asdict().items() if isinstance(value, Decimal)}
        return part._replace(**{name: other(value) for name, value in fields.items()})

    items = tuple(changed(item)._replace(taxes=tuple(map(changed, item.taxes))) for item in order.items)
    order = changed(order)._replace(items=items, charges=tuple(map(changed, order.charges)))
    rates = {"VAT": Decimal(20), "": Decimal("10.0")} if chance.random() < 0.3 else {}
    return order._replace(taxes=tuple(map(changed, order.taxes)), approved_rates=rates,
                          unit_cost_places=chance.choice([2, 2, 4]), negative_lines=chance.random() < 0.3)  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(orders(), st.integers(0, 2**32).map(Random))
def test_an_ordinary_price_is_the_thorough_one(order: OrderMoney, chance: Random) -> None:
    for one in (order, altered(order, chance)):
        with exactly():
            ordinary_price(one)


def run_long(seconds: float, seed: int) -> None:
    """Draw specs and records until the time is over; the seed of the first that differs is told with it."""
    end = time.monotonic() + seconds
    first, answered = seed, 0
    while time.monotonic() < end:
        try:
            answered += assert_both_ways(seed)
        except Exception as error:
            raise SystemExit(f"seed {seed}: {type(error).__name__}: {str(error)[:2000]}") from error
        seed += 1
    print(f"{seed - first} specs, {answered} quick drafts, no difference")


if __name__ == "__main__":
    run_long(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32))
