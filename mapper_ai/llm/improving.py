"""What a proposed spec still lacks, asked of the language model: steps, tables, sources of required fields.

A proposal that holds on the samples takes its place in the spec, marked as the model's and approved by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import Final

from mapper_ai.core.suggest import ACCEPT_AT
from mapper_ai.errors import MapperError
from mapper_ai.llm.asking import Outcome
from mapper_ai.llm.colleague import Colleague
from mapper_ai.llm.facts import one_line
from mapper_ai.llm.tasks.steps import Offer
from mapper_ai.services.additions import plan_rule
from mapper_ai.services.edits import goal_of, with_list, with_rule
from mapper_ai.services.findings import Finding
from mapper_ai.services.propose import Alternative, Proposal
from mapper_ai.services.targets import source_profile
from mapspec import MappingSpec, SpecError
from mapspec.model import ListBlock, Origin, TargetRule

_MOST: Final = 20
_NOTE: Final = 200
_WANTING: Final = frozenset({"not-ready", "required-missing"})


def improve(proposal: Proposal, colleague: Colleague) -> Proposal:
    """Fill what is wanting where an answer holds; what nobody can answer stays as it is, with its finding."""
    spec = _with_words(proposal.spec, colleague.words)
    findings: list[Finding] = []
    asked = 0
    for row in proposal.findings:
        if row.id not in _WANTING or asked >= _MOST or row.part in spec.rules():
            findings.append(row)
            continue
        best = next(iter(proposal.alternatives.get(row.part, ())), None)
        if row.id == "not-ready" and (best is None or best.confidence < ACCEPT_AT):
            findings.append(row)
            continue
        asked += 1
        made = _made(spec, row, best, colleague)
        if made is None:
            findings.append(row)
            continue
        spec, offer = made
        why = f": {offer.why}" if offer.why else ""
        findings.append(
            Finding("by-language-model", "note", row.part, f"{row.part}: proposed by the language model{why}")
        )
    return replace(proposal, spec=spec, findings=tuple(findings))


def _made(
    spec: MappingSpec, row: Finding, best: Alternative | None, colleague: Colleague
) -> tuple[MappingSpec, Offer] | None:
    """The spec with an offer for a part; None when there is none."""
    try:
        offer = _offer(spec, row, best, colleague)
        if offer is None:
            return None
        sources = best.sources if best else [path.source_path() for step in offer.rule.steps for path in step.paths()]
        sure = Decimal(str(best.confidence)).quantize(Decimal("0.01"), ROUND_DOWN) if best else None
        rule = offer.rule.model_copy(
            update={"origin": Origin(by="llm", confidence=sure, why={}), "note": _note(offer.why)}
        )
        return with_rule(with_list(spec, row.part, sources), row.part, rule, dict(offer.tables)), offer
    except (MapperError, SpecError):
        # No field that can be written, or no list around it: the finding says what is wrong already.
        return None


def _offer(spec: MappingSpec, row: Finding, best: Alternative | None, colleague: Colleague) -> Offer | None:
    if best is None or row.id == "required-missing":
        value = colleague.propose_combination(spec, row.part).value
        return None if value is None or value == "none" else value
    goal = goal_of(spec, row.part)
    rule, tables, problem = plan_rule(spec, row.part, best.sources, goal, source_profile(spec, colleague.records))
    if tables and problem and len(best.sources) == 1:
        name, table = next(iter(tables.items()))
        told: Outcome[Offer] = colleague.propose_table(spec, row.part, best.sources[0], rule, name, tuple(table.rows))
        if told.value is None:
            return None
        rows = {**table.rows, **told.value.tables[name].rows}
        return replace(told.value, tables={name: table.model_copy(update={"rows": rows})})
    return colleague.propose_steps(spec, row.part, best.sources).value


def _with_words(spec: MappingSpec, words: Mapping[str, str]) -> MappingSpec:
    """The model's reason as the note of every rule that it swayed and that has none."""
    fields: dict[str, TargetRule] = {}
    for target, entry in spec.fields.items():
        name = target.partition(".")[2]
        if isinstance(entry, ListBlock):
            inner = {}
            for member, rule in entry.fields.items():
                why = words.get(f"{name}.{member}", "")
                swayed = rule.origin is not None and "llm" in rule.origin.why
                inner[member] = (
                    rule.model_copy(update={"note": _note(why)}) if why and swayed and not rule.note else rule
                )
            fields[target] = entry.model_copy(update={"fields": inner})
            continue
        why = words.get(name, "")
        swayed = entry.origin is not None and "llm" in entry.origin.why
        fields[target] = entry.model_copy(update={"note": _note(why)}) if why and swayed and not entry.note else entry
    return spec.model_copy(update={"fields": fields})


def _note(why: str) -> str | None:
    return one_line(f"Language model: {why}", _NOTE) if why else None
