"""Whether a check or an assertion lets more through than before, less, or something else."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

Verdict = Literal["tighter", "looser", "other"]
# Members of an assertion that weigh; everything else in it says what is compared.
_WEIGHTS: Final = ("within", "on_fail", "when", "rounding")


def of_check(name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Verdict:
    """How a check changed; both sides as a spec writes them, None where there is none."""
    if before is None:
        return "tighter"
    if after is None:
        return "looser"
    verdicts = {_on_fail(before.get("on_fail"), after.get("on_fail"))}
    verdicts.add(_argument(name, before.get(name), after.get(name)))
    return _joined(verdicts)


def of_assertion(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Verdict:
    """How an assertion changed; both sides as a spec writes them, without message and id."""
    if before is None:
        return "tighter"
    if after is None:
        return "looser"
    verdicts = {_on_fail(before.get("on_fail", "hold"), after.get("on_fail", "hold"))}
    verdicts.add(_ordered(before.get("within", 0), after.get("within", 0), more="looser"))
    if before.get("when") != after.get("when"):
        verdicts.add("looser" if "when" not in before else "tighter" if "when" not in after else "other")
    one, other = dict(before.get("predicted_total") or {}), dict(after.get("predicted_total") or {})
    rounding = one.pop("rounding", "any"), other.pop("rounding", "any")
    if rounding[0] != rounding[1]:
        verdicts.add("looser" if rounding[1] == "any" else "tighter")
    rest = [
        {name: side[name] for name in side if name not in (*_WEIGHTS, "predicted_total")} for side in (before, after)
    ]
    if rest[0] != rest[1] or one != other:
        verdicts.add("other")
    return _joined(verdicts)


def of_on_fail(before: str, after: str) -> Verdict:
    """How a rule's `on_fail` changed."""
    return _joined({_on_fail(before, after)})


def _joined(verdicts: set[Verdict | None]) -> Verdict:
    """The gravest: what is looser in one way is looser, whatever it is in another."""
    for verdict in ("looser", "other", "tighter"):
        if verdict in verdicts:
            return verdict
    return "other"


def _on_fail(before: Any, after: Any) -> Verdict | None:
    if before == after:
        return None
    if after == "warn":
        return "looser"
    # A check's own `hold` becomes the rule's choice when it goes.
    return "tighter" if after == "hold" else "looser" if before == "hold" else "tighter"


def _argument(name: str, before: Any, after: Any) -> Verdict | None:
    if before == after:
        return None
    if name in ("max_length", "at_most"):
        return _ordered(before, after, more="looser")
    if name in ("min_length", "at_least"):
        return _ordered(before, after, more="tighter")
    if name == "between":
        low, high = _ordered(before[0], after[0], more="tighter"), _ordered(before[1], after[1], more="looser")
        return _joined({low, high})
    if name == "enum":
        one, other = set(before), set(after)
        return "looser" if one < other else "tighter" if other < one else "other"
    if name == "integer":
        return _window(before or {}, after or {})
    if name == "money":
        return "tighter" if after == "positive" else "looser"
    return "other"


def _window(before: Mapping[str, Any], after: Mapping[str, Any]) -> Verdict:
    """A missing end is open."""
    verdicts: set[Verdict | None] = set()
    for end, more in (("from", "tighter"), ("to", "looser")):
        one, other = before.get(end), after.get(end)
        if one == other:
            continue
        if one is None or other is None:
            verdicts.add("tighter" if one is None else "looser")
        else:
            verdicts.add(_ordered(one, other, more=more))  # type: ignore[arg-type] # a literal of the loop
    return _joined(verdicts)


def _ordered(before: Any, after: Any, *, more: Verdict) -> Verdict | None:
    one, other = Decimal(str(before)), Decimal(str(after))
    if one == other:
        return None
    fewer: Verdict = "tighter" if more == "looser" else "looser"
    return more if other > one else fewer
