"""Tokens and cost: foretold before, counted while asking, and a limit that stops politely."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from mapper_ai.llm.settings import LlmSettings, Price

_CHARS_A_TOKEN: Final = 3.5
_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True)
class Usage:
    """Tokens that were paid for."""

    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out)

    @property
    def total(self) -> int:
        """In and out."""
        return self.tokens_in + self.tokens_out

    def cost(self, price: Price | None) -> Decimal | None:
        """In the currency of the prices; None when the price is not known."""
        if price is None:
            return None
        return (price.input * self.tokens_in + price.output * self.tokens_out) / _MILLION


def tokens_of(text: str) -> int:
    """About how many tokens a text is."""
    return int(len(text) / _CHARS_A_TOKEN) + 4


class Meter:
    """Counts what is used and says whether a further question fits; safe to use from several threads.

    What a question may take at most is set aside while it is under way, so that parallel ones cannot pass the limit
    together. One that fits only when another has taken less than that waits for it.
    """

    def __init__(self, settings: LlmSettings) -> None:
        self._limit, self._price = settings.budget, settings.price
        self._used = Usage()
        self._aside = Usage()
        self._lock = threading.Condition()

    @property
    def used(self) -> Usage:
        """So far."""
        with self._lock:
            return self._used

    def take(self, most: Usage) -> bool:
        """Set tokens aside; False when they do not fit any more. Every True wants a `settle`."""
        with self._lock:
            self._lock.wait_for(lambda: self._fits(self._aside + most) or not self._fits(most))
            if not self._fits(most):
                return False
            self._aside = self._aside + most
            return True

    def _fits(self, more: Usage) -> bool:
        then = self._used + more
        cost = then.cost(self._price)
        if self._limit.tokens is not None and then.total > self._limit.tokens:
            return False
        return self._limit.cost is None or cost is None or cost <= self._limit.cost

    def settle(self, most: Usage, used: Usage) -> None:
        """Give back what was set aside, count what was used."""
        with self._lock:
            self._aside = self._aside + Usage(-most.tokens_in, -most.tokens_out)
            self._used = self._used + used
            self._lock.notify_all()


def in_words(usage: Usage, settings: LlmSettings) -> str:
    """`1,200 tokens, 0.0034 USD`."""
    if not usage.total:
        return "0 tokens"
    cost = usage.cost(settings.price)
    told = f"cost unknown: no price of {settings.model} in [llm.prices]" if cost is None else _money(cost, settings)
    return f"{usage.total:,} tokens, {told}"


def _money(cost: Decimal, settings: LlmSettings) -> str:
    return f"{cost.quantize(Decimal('0.0001'))} {settings.currency}"
