"""Which request meets which fault: by rate and seed, or by script.

| fault | what happens |
| --- | --- |
| lost_answer | the change is applied, then the connection is cut without an answer |
| cut_before | the connection is cut, nothing is applied |
| late_apply | the connection is cut; the change is applied just before the second request after it |
| server_error | 503, nothing is applied |
| error_after | the change is applied, then 502 |
| rate_limited | 429 with Retry-After, nothing is applied |
| slow | an ordinary answer after a delay |
| expired_token | 401, nothing is applied |
| conflict | 409, as when another request is changing the record; nothing is applied |
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from connectors.sandbox.switches import FAULT_KINDS, Switches
from connectors.sandbox.wire import JsonObject

# a rate is about records; tokens meet faults only by script, or no test could log in
_RATED_PATHS = re.compile(r"^/(accounting/|api/|events/|DesktopModules/ClarityEcommerce/[^/]+/(?!auth/))")


@dataclass
class ScriptedFault:
    """The next `times` requests that match meet the fault; `skip` matching ones pass first.

    `system` is freshbooks, clarity or empty for both; `method` empty for any; `path` a regular expression that is
    searched in the path with its query.
    """

    kind: str
    system: str = ""
    method: str = ""
    path: str = ""
    times: int = 1
    skip: int = 0

    def __post_init__(self) -> None:
        """Refuse what could never match.

        Raises:
            ValueError: Unknown fault, bad expression, or a count below its least.
        """
        if self.kind not in FAULT_KINDS:
            msg = f"unknown fault {self.kind!r}; known: {', '.join(FAULT_KINDS)}"
            raise ValueError(msg)
        if self.times < 1 or self.skip < 0:
            msg = "a scripted fault needs times >= 1 and skip >= 0"
            raise ValueError(msg)
        try:
            self._pattern = re.compile(self.path)
        except re.error as error:
            msg = f"path is not a regular expression: {error}"
            raise ValueError(msg) from None

    def matches(self, system: str, method: str, target: str) -> bool:
        """Whether a request is meant; `target` is the path with its decoded query."""
        return (
            self.system in ("", system)
            and self.method.upper() in ("", method)
            and self._pattern.search(target) is not None
        )

    def as_json(self) -> JsonObject:
        """What is left of it."""
        return {
            "fault": self.kind,
            "system": self.system,
            "method": self.method,
            "path": self.path,
            "times": self.times,
            "skip": self.skip,
        }


class FaultPlan:
    """Chooses the fault of each request. Callers hold the state's lock.

    The same seed, switches and order of requests give the same faults.
    """

    def __init__(self, switches: Callable[[], Switches]) -> None:
        """Start without scripted faults.

        Args:
            switches: Returns the switches in force: rates and seed.
        """
        self._switches = switches
        self.scripted: list[ScriptedFault] = []
        self.reseed()

    def reseed(self) -> None:
        """Start the random choices again from the seed."""
        self._random = random.Random(self._switches().fault_seed)  # noqa: S311 (faults, not secrets)

    def reset(self) -> None:
        """Drop the script and start the random choices again."""
        self.scripted.clear()
        self.reseed()

    def script(self, fault: ScriptedFault) -> None:
        """Add a scripted fault behind the ones there are; the first that matches a request wins."""
        self.scripted.append(fault)

    def choose(self, system: str, method: str, target: str) -> str | None:
        """The fault of this request, or None."""
        for fault in self.scripted:
            if not fault.matches(system, method, target):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            if not fault.times:
                self.scripted.remove(fault)
            return fault.kind
        rates = self._switches().fault_rates
        if not rates or not _RATED_PATHS.match(target):
            return None
        drawn = self._random.random()
        for kind in FAULT_KINDS:
            share = rates.get(kind, 0.0)
            if drawn < share:
                return kind
            drawn -= share
        return None
