"""How long a text an account takes, found by halving; cut texts count as too long."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

LONGEST = 4096

Verdict = Literal["kept", "refused", "cut"]


@dataclass(frozen=True)
class Limit:
    """What was found: the longest text that is kept; 0 when even LONGEST is. ``cut`` when longer ones are cut."""

    length: int
    cut: bool
    tries: int


def find_limit(keeps: Callable[[str], tuple[Verdict, str]], *, longest: int = LONGEST) -> Limit | None:
    """The longest text that is kept.

    Args:
        keeps: Tries a text and says what became of it, and what the server said or stored.

    Returns:
        None when not even one character is kept, so that something else is wrong.
    """
    tries = 0
    cut = False
    hints: list[int] = []

    def fits(length: int) -> bool:
        nonlocal tries, cut
        tries += 1
        verdict, said = keeps(sample_text(length))
        if verdict == "cut":
            cut = True
            hints.append(len(said))
        elif verdict == "refused":
            hints.extend(int(number) for number in re.findall(r"[0-9]{1,5}", said))
        return verdict == "kept"

    if fits(longest):
        return Limit(0, cut=False, tries=tries)
    good, bad = 0, longest
    while bad - good > 1:
        # A server that names its limit, or stores the cut text, needs two tries; any other one is halved.
        hint = next((number for number in hints if good < number < bad), None)
        middle = hint if hint is not None else hints_above(hints, good, bad) or (good + bad) // 2
        if fits(middle):
            good = middle
        else:
            bad = middle
    return Limit(good, cut, tries) if good else None


def hints_above(hints: list[int], good: int, bad: int) -> int | None:
    """One more than a named limit that has just proved good."""
    return good + 1 if good in hints and good + 1 < bad else None


def sample_text(length: int) -> str:
    """A text of so many characters that differs at every length and has no blank at its ends."""
    return ("abcdefghij" * (length // 10 + 1))[:length]
