"""What a review found, as values: the renderers read nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mapspec.diff_rules import APPROVAL_RULES, RISKS, RULES, Risk

State = Literal["changed", "added", "removed", "same"]
FailOn = Literal["high", "medium", "unapproved", "never"]


@dataclass(frozen=True)
class Finding:
    """One thing a reviewer should know.

    Attributes:
        id: Of `mapspec.diff_rules.RULES`.
        spec: Id of the mapping.
        part: What it is about: an approvable part, `tables.NAME`, `settings.NAME`, or "spec".
        name: What of the part, so that two findings of one rule differ; "" where the part says it all.
        message: One line.
        before: The old side in the spec's own words, "" where there is none.
        path: From the repository's root.
        line: 1-based.
        column: 1-based.
        approved: Who approved it and when, or why nobody did; "" where nothing is to be approved.
        origin: Who proposed it and how sure that was.
        effect: What it does to the samples, masked; "" where nothing changes or nothing is known.
        suppressed: Why it is left out, and until when; "" for a finding that counts.
    """

    id: str
    risk: Risk
    spec: str
    part: str
    message: str
    path: str
    line: int = 1
    column: int = 1
    name: str = ""
    before: str = ""
    after: str = ""
    approved: str = ""
    origin: str = ""
    effect: str = ""
    suppressed: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for the same thing in another version of the file, whatever line it stands on."""
        text = "\0".join((self.spec, self.id, self.part, self.name, self.before, self.after))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def change(self) -> str:
        """What changed, in a line: the message and both sides."""
        if not self.before and not self.after:
            return self.message
        return f"{self.message}: {self.before or 'none'} -> {self.after or 'none'}"


@dataclass(frozen=True)
class Coverage:
    """How much of the targets' contracts a mapping fills.

    Attributes:
        fields: Parts with a rule.
        required: Required members of the contracts; 0 where no contract is known.
        covered: Those of them that have a rule.
        approved: Parts that are approved as they stand.
        parts: All parts.
        passed: Samples that are not held.
    """

    fields: int = 0
    required: int = 0
    covered: int = 0
    approved: int = 0
    parts: int = 0
    passed: int = 0


@dataclass(frozen=True)
class Example:
    """A value on one sample, before and after, masked."""

    sample: str
    before: str
    after: str


@dataclass(frozen=True)
class PartEffect:
    """How a part's values differ on the samples; `count` samples have another value."""

    part: str
    count: int
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class DecisionChange:
    """A sample that is treated otherwise; `reason` says why it is held, skipped or waits on the side where it is."""

    sample: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class RequestChange:
    """A request body that differs, the `number`th of its target; "" for a digest where nothing is sent."""

    sample: str
    target: str
    number: int
    before: str
    after: str


@dataclass(frozen=True)
class TotalChange:
    """What the documents that are written on both sides come to, over all samples."""

    target: str
    currency: str
    before: str
    after: str
    change: str
    samples: int


@dataclass(frozen=True)
class Effects:
    """What a change does to the samples. Texts are masked.

    Attributes:
        keys: Samples with a document that is known by another key.
    """

    samples: int = 0
    samples_before: int = 0
    keys: int = 0
    parts: Mapping[str, PartEffect] = field(default_factory=dict)
    decisions: tuple[DecisionChange, ...] = ()
    requests: tuple[RequestChange, ...] = ()
    totals: tuple[TotalChange, ...] = ()


@dataclass(frozen=True)
class SpecReview:
    """One mapping on both sides.

    Attributes:
        path: At the head; at the base for a mapping that is gone.
        moved_from: The path at the base where it is another one.
        renames: Names that changed and mean the same, as `old -> new`.
        counts: Parts that were changed, added and removed, and parts that are not approved.
        parts: Every part and assertion of the head, for reports that list what is fine, too.
    """

    spec: str
    path: str
    state: State
    version_before: int = 0
    version_after: int = 0
    moved_from: str = ""
    renames: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    before: Coverage = field(default_factory=Coverage)
    after: Coverage = field(default_factory=Coverage)
    effects: Effects = field(default_factory=Effects)
    findings: tuple[Finding, ...] = ()
    suppressed: tuple[Finding, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the id."""
        return self.spec.rpartition("/")[2]

    @property
    def risk(self) -> Risk | None:
        """The gravest of its findings; None without any."""
        return next((risk for risk in RISKS if any(row.risk == risk for row in self.findings)), None)


@dataclass(frozen=True)
class Review:
    """The whole comparison.

    Attributes:
        base: Id of the commit that the head went its own way from.
        notices: What a reader should know of the comparison itself.
    """

    base: str
    head: str
    specs: tuple[SpecReview, ...]
    notices: tuple[str, ...] = ()

    @property
    def findings(self) -> list[Finding]:
        """Of all mappings, gravest first, then in the order of the files."""
        rows = [row for spec in self.specs for row in spec.findings]
        return sorted(rows, key=lambda row: RISKS.index(row.risk))

    @property
    def risk(self) -> Risk | None:
        """The gravest of all findings; None without any."""
        return next((risk for risk in RISKS if any(spec.risk == risk for spec in self.specs)), None)

    def blocking(self, fail_on: FailOn) -> list[Finding]:
        """Findings that fail the review."""
        if fail_on == "never":
            return []
        if fail_on == "unapproved":
            return [row for row in self.findings if row.id in APPROVAL_RULES]
        return [row for row in self.findings if RISKS.index(row.risk) <= RISKS.index(fail_on)]


def why(rule: str) -> str:
    """What a rule says in general."""
    return RULES[rule].why
