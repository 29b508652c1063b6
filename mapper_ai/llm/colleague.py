"""What command line and app ask a language model for. Every answer is a proposal, or a reason why there is none.

A colleague keeps the tally of what was asked and paid. Nothing here approves anything or writes a file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Literal, TypeVar

from mapper_ai.core.combine import How
from mapper_ai.core.history import Decision, HistorySignal
from mapper_ai.core.model import Model
from mapper_ai.core.opinions import Opinions
from mapper_ai.core.profile import Profile
from mapper_ai.core.suggest import TargetSuggestion, suggest
from mapper_ai.llm import reranking
from mapper_ai.llm.asking import Answering, Asker, Outcome, Question, Tally
from mapper_ai.llm.budget import in_words
from mapper_ai.llm.cache import Cache
from mapper_ai.llm.endpoint import Endpoint
from mapper_ai.llm.errors import NotSetUpError
from mapper_ai.llm.facts import FieldFacts, Side, goal_facts, side_of, telling_values
from mapper_ai.llm.settings import LlmSettings
from mapper_ai.llm.tasks import combination, enum_table, steps, telling, validations
from mapper_ai.llm.tasks.steps import Offer
from mapper_ai.llm.trial import Place
from mapper_ai.services.additions import plan_rule
from mapper_ai.services.edits import goal_of
from mapper_ai.services.sources import block_of, part_sources, step_list
from mapper_ai.services.steps_by_rule import relative
from mapper_ai.services.targets import Record, source_profile
from mapspec import MappingSpec
from mapspec.fingerprint import digests
from mapspec.model import FieldRule, TableRule

T = TypeVar("T")
Tell = Callable[[str], None]


def _silent(line: str) -> None:
    """Nobody listens."""


class Colleague:
    """One language model at work on some samples. Use it with `with`, or close it."""

    def __init__(
        self,
        settings: LlmSettings,
        records: Sequence[Record] = (),
        *,
        endpoint: Callable[[], Answering] | None = None,
        tell: Tell = _silent,
        progress: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        """
        Args:
            settings: How to ask.
            records: Samples; they judge what comes back, and never leave.
            endpoint: Makes what answers; by default the endpoint of the settings.
            tell: Gets a line before something leaves: how much is asked, what it may cost, which values go along.
            progress: Told how many of how many questions are done.
            cancel: Once set, nothing more is asked.

        Raises:
            NotSetUpError: The openai package is not installed.
        """
        if endpoint is None and find_spec("openai") is None:
            raise NotSetUpError("the openai package is not installed: pip install 'mapper-ai[llm]'")
        self.settings = settings
        self.records = records
        self.words: dict[str, str] = {}
        self._tests: dict[reranking.Known, bool] = {}
        self._told: set[str] = set()
        self._tell = tell
        self._cache = Cache(settings.cache)
        self._made: list[Answering] = []
        make = endpoint or (lambda: Endpoint(settings))
        self._asker = Asker(
            settings,
            lambda: self._kept(make()),
            cache=self._cache,
            samples=records,
            progress=progress,
            cancel=cancel,
        )
        if self._cache.problem:
            tell(self._cache.problem)

    def __enter__(self) -> Colleague:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release connections and the cache."""
        for made in self._made:
            if isinstance(made, Endpoint):
                made.close()
        self._cache.close()

    @property
    def tally(self) -> Tally:
        """What was asked so far, what came of it, what it cost."""
        return self._asker.tally

    def rank(
        self,
        source: Profile,
        target: Profile,
        *,
        top: int = 5,
        model: Model | None = None,
        history: HistorySignal | Sequence[Decision] = (),
    ) -> list[TargetSuggestion]:
        """As `suggest`, with the model's opinion on the targets in doubt as one more signal.

        Whatever goes wrong, the result of `suggest` stands for the targets it concerns.
        """
        first = suggest(source, target, top=max(top, self.settings.top), history=history, model=model)
        left, right = side_of(source, self.settings), side_of(target, self.settings)
        guarded = telling_values([source, target], left.codes | right.codes)
        asked = reranking.plan(first, left, right, self.settings, guarded)
        if asked.doubtful:
            self._foretell(asked, left, right)
        if asked.fits:
            answers = reranking.answers_of_fits(asked, self._asker.ask([one for _, many in asked.fits for one in many]))
        else:
            answers = reranking.answers_of_picks(asked, self._asker.ask(asked.picks))
        self.words.update(answers.words)
        # A flow has several targets, some with few fields of known answer: what was shown on one counts for the next.
        self._tests |= answers.tests
        opinions = Opinions(reranking.trust_of(self._tests), answers.opinions)
        if opinions.by_target:
            trust, weight = opinions.trust, opinions.weight(self.settings.top)
            self._tell_once(
                f"language model: on fields of known answer it chose right {trust.right} of {trust.tried} times, and"
                f" said none {trust.none_right} of {trust.none_tried} times where nothing fits:"
                f" a choice of it adds at most {weight:.1f} log-odds"
            )
        return suggest(source, target, top=top, history=history, opinions=opinions, model=model)

    def propose_steps(self, spec: MappingSpec, part: str, sources: Sequence[str] = ()) -> Outcome[Offer]:
        """Steps for a part from some source fields, by default those it reads now.

        Raises:
            UnknownPartError: The part has no steps of its own, or there is no such target.
        """
        place, facts, paths, guarded = self._at(spec, part, sources)
        return self._one(steps.propose_question(place, self._goal(place), facts, paths, guarded))

    def write_steps(self, spec: MappingSpec, part: str, request: str) -> Outcome[Offer]:
        """Steps that do what an analyst asks for in plain words.

        Raises:
            UnknownPartError: The part has no steps of its own, or there is no such target.
        """
        place, facts, paths, guarded = self._at(spec, part, ())
        return self._one(steps.write_question(place, self._goal(place), facts, paths, guarded, request))

    def propose_checks(self, spec: MappingSpec, part: str) -> Outcome[Offer]:
        """Checks for a part that has a rule.

        Raises:
            UnknownPartError: The part has no steps of its own, or there is no such target.
        """
        place, _, _, guarded = self._at(spec, part, ())
        return self._one(validations.question(place, self._goal(place), guarded))

    def propose_combination(self, spec: MappingSpec, part: str) -> Outcome[Offer | Literal["none"]]:
        """Which fields feed a part together; "none" is an answer.

        Raises:
            UnknownPartError: The part has no steps of its own, or there is no such target.
        """
        place, facts, _, guarded = self._at(spec, part, (), as_written=True)
        profile = source_profile(spec, self.records)

        def plan(sources: Sequence[str], how: How) -> tuple[FieldRule, dict[str, TableRule], str]:
            return plan_rule(spec, part, sources, place.goal, profile, how)

        return self._one(combination.question(place, self._goal(place), facts, plan, guarded))

    def propose_table(
        self, spec: MappingSpec, part: str, source: str, rule: FieldRule, table: str, taken: Sequence[str] = ()
    ) -> Outcome[Offer]:
        """Rows of a table from a source's codes to a target's values; only codes that may leave are asked about.

        Raises:
            UnknownPartError: The part has no steps of its own, or there is no such target.
        """
        place, facts, _, guarded = self._at(spec, part, (source,), as_written=True)
        mine = next((entry for entry in facts if entry.path == source), FieldFacts(source))
        return self._one(enum_table.question(place, self._goal(place), mine, rule, table, guarded, taken))

    def explain(self, spec: MappingSpec, part: str) -> Outcome[str]:
        """A sentence or two on a part that has a rule.

        Raises:
            UnknownPartError: There is no such rule.
        """
        place, facts, _, guarded = self._at(spec, part, part_sources(spec, part), as_written=True)
        rule = place.rule or FieldRule.model_validate({"steps": []})
        used = [entry for entry in facts if entry.path in part_sources(spec, part)]
        return self._one(telling.explain_question(part, self._goal(place), used, rule, guarded))

    def summarise(self, old: MappingSpec | None, new: MappingSpec) -> Outcome[telling.Summary] | None:
        """What a change of a mapping means, for a pull request; None when its meaning did not change."""
        before, after = digests(old) if old else {}, digests(new)
        changed = [part for part in dict.fromkeys([*before, *after]) if before.get(part) != after.get(part)]
        if not changed:
            return None
        old_rules, new_rules = old.rules() if old else {}, new.rules()
        rules = [part for part in changed if part in old_rules or part in new_rules]
        rows = [(part, old_rules.get(part), new_rules.get(part)) for part in rules]
        return self._one(telling.summary_question(new.spec, rows, [part for part in changed if part not in rules]))

    def _one(self, question: Question[T]) -> Outcome[T]:
        most = self._asker.estimate([question])
        if most.total:
            self._tell_once(
                f"language model: {self.settings.model} at {self.settings.host}: {question.task} for {question.about},"
                f" at most about {in_words(most, self.settings)}"
            )
        return self._asker.ask([question])[0]

    def _kept(self, made: Answering) -> Answering:
        self._made.append(made)
        return made

    def _goal(self, place: Place) -> FieldFacts:
        reference = place.spec.targets.get(place.part.split(".", 1)[0], "")
        return goal_facts(place.goal, self.settings, contract="/" in reference)

    def _at(
        self, spec: MappingSpec, part: str, sources: Sequence[str], *, as_written: bool = False
    ) -> tuple[Place, list[FieldFacts], list[str], frozenset[str]]:
        """Where a proposal is to stand, the source fields to speak of, their paths as a rule there writes them.

        `as_written` leaves the facts' paths as they are from the record's root.
        """
        goal = goal_of(spec, part)
        profile = source_profile(spec, self.records)
        side = side_of(profile, self.settings)
        block = block_of(spec, part)
        each = block.each.source_path() if block else step_list(spec, part)
        chosen = [path for path in (sources or part_sources(spec, part)) if path in side.fields]
        paths = chosen if sources and not as_written else _near(chosen, part, each, profile, side, self.settings.fields)
        facts = side.some(paths)
        self._tell_codes(side.leaving, {entry.path for entry in facts})
        written = [relative(entry.path, each) for entry in facts]
        if "currency" in spec.values and not as_written:
            written.append("values.currency")
        if not as_written:
            facts = [replace(entry, path=path) for entry, path in zip(facts, written, strict=False)]
        return Place(spec, part, goal, paths, self.records), facts, written, telling_values([profile], side.codes)

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._tell(line)

    def _tell_codes(self, leaving: Mapping[str, Sequence[str]], paths: set[str]) -> None:
        codes = "; ".join(f"{path}: {', '.join(values)}" for path, values in leaving.items() if path in paths)
        if codes:
            self._tell_once(f"language model: these codes of samples leave: {codes}")

    def _foretell(self, asked: reranking.Plan, left: Side, right: Side) -> None:
        questions: Sequence[Question[Any]] = asked.questions
        most = self._asker.estimate(questions)
        paid = f"at most about {in_words(most, self.settings)}" if most.total else "all of them known from before"
        self._tell_once(
            f"language model: {self.settings.model} at {self.settings.host}: {len(asked.doubtful)} of {asked.total}"
            f" targets are in doubt; with {len(asked.tests)} of known answer as a test {len(questions)} question(s),"
            f" {paid}"
        )
        shown = "made-up values" if self.settings.values == "synthetic" else "no values"
        self._tell_once(f"language model: names, types, formats, documentation and {shown} leave; no record does")
        for side in (left, right):
            self._tell_codes(side.leaving, asked.paths)
        withheld = [*left.withheld, *right.withheld]
        if withheld:
            self._tell_once(f"language model: {len(withheld)} field(s) whose names read like values are not spoken of")


def _near(chosen: Sequence[str], part: str, each: str, profile: Profile, side: Side, most: int) -> list[str]:
    """The chosen fields, then those beside them, then those of the same list, then the record's own."""
    beside = {path.rpartition(".")[0] for path in chosen}
    words = set(part.casefold().replace("[]", "").replace("_", ".").split("."))

    def rank(path: str) -> tuple[bool, bool, int, bool, str]:
        own = set(path.casefold().replace("[]", "").replace("_", ".").split("."))
        inside = bool(each) and path.startswith(each)
        return path not in chosen, path.rpartition(".")[0] not in beside, -len(own & words), not inside, path

    open_ = [path for path in side.fields if "[]" not in path or (each and path.startswith(each))]
    known: Mapping[str, None] = dict.fromkeys([*chosen, *sorted(open_, key=rank)])
    return [path for path in known if path in profile.paths][:most]
