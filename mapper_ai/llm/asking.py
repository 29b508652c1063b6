"""Asks many questions in parallel: cache, budget, one correction, and for every question an outcome that says why."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from mapper_ai.llm.budget import Meter, Usage, in_words, tokens_of
from mapper_ai.llm.cache import Cache
from mapper_ai.llm.endpoint import PaidTroubleError, Reply
from mapper_ai.llm.errors import FATAL, WORDS, Kind, TroubleError
from mapper_ai.llm.prompts import Prompt, correction, error_in_words, fingerprint
from mapper_ai.llm.settings import LlmSettings
from mapper_ai.llm.wire import Wire, read_answer, schema_of

T = TypeVar("T")
# The answer as it reads, and why it does not hold ("" when it does).
Judge = Callable[[Any], tuple[T | None, str]]
_TRIES: Final = 2
_MAX_REPEATED: Final = 4000  # characters of a wrong answer that are shown again


class Answering(Protocol):
    """What answers questions: an endpoint."""

    def ask(self, messages: Sequence[Mapping[str, str]], kind: type[Wire], name: str, most: int) -> Reply:
        """One answer, or a TroubleError."""
        ...


@dataclass(frozen=True)
class Question(Generic[T]):
    """One question.

    Attributes:
        about: Target, part or the like; for people.
        task: Name of the task.
        prompt: What is sent; None with `kept`.
        kind: Schema of the answer.
        most: Tokens of the answer at most.
        judge: Makes the answer's value of it, or says what is wrong.
        kept: Why it is not sent at all.
    """

    about: str
    task: str
    prompt: Prompt | None
    kind: type[Wire]
    most: int
    judge: Judge[T]
    kept: Kind | None = None


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of a question.

    Attributes:
        value: What the judge made of the answer; None with `trouble`.
        trouble: What happened instead of an answer; "" when there is one. "Nothing fits" is an answer.
        detail: More of it.
        tries: Requests that were answered.
        cached: Nothing was asked, the answer was known.
    """

    about: str
    task: str
    value: T | None
    trouble: Kind | None = None
    detail: str = ""
    tries: int = 0
    cached: bool = False


@dataclass
class Tally:
    """What a run of questions came to."""

    outcomes: list[Outcome[Any]] = field(default_factory=list)
    spent: Usage = field(default_factory=Usage)
    saved: Usage = field(default_factory=Usage)

    def lines(self, settings: LlmSettings, instead: str = "the result without it stands") -> list[str]:
        """For people: one line on what was answered and paid, one for each kind of trouble with what comes instead."""
        if not self.outcomes:
            return ["language model: nothing to ask"]
        good = sum(row.trouble is None for row in self.outcomes)
        again = sum(row.trouble is None and row.tries > 1 for row in self.outcomes)
        cached = sum(row.cached for row in self.outcomes)
        told = f"language model: {good} of {len(self.outcomes)} question(s) answered"
        told += f", {again} on the second try" if again else ""
        told += f", {cached} known from before" if cached else ""
        found = [f"{told}; {in_words(self.spent, settings)}"]
        for kind, count in Counter(row.trouble for row in self.outcomes if row.trouble).items():
            first = next(row for row in self.outcomes if row.trouble == kind)
            more = f" ({first.detail})" if first.detail else ""
            found.append(f"language model: {count} question(s): {WORDS[kind]}{more}; {instead}")
        return found


class Asker:
    """Asks an endpoint; counts, caches, stops at the budget."""

    def __init__(
        self,
        settings: LlmSettings,
        endpoint: Callable[[], Answering],
        *,
        cache: Cache | None = None,
        samples: Sequence[Mapping[str, Any]] = (),
        progress: Callable[[int, int], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        """
        Args:
            settings: How to ask.
            endpoint: Makes the endpoint when the first question really has to be asked.
            cache: Answers from before.
            samples: The records of trials, so that errors can be told without their values.
            progress: Told how many of how many are done.
            cancel: Once set, nothing more is asked.
        """
        self.settings = settings
        self.meter = Meter(settings)
        self._make = endpoint
        self._endpoint: Answering | None = None
        self._cache = cache or Cache("")
        self._samples = samples
        self._progress = progress
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._cancel = cancel or threading.Event()
        self._saved = Usage()
        self._all: list[Outcome[Any]] = []

    @property
    def tally(self) -> Tally:
        """All questions so far."""
        with self._lock:
            return Tally(list(self._all), self.meter.used, self._saved)

    def ask(self, questions: Sequence[Question[T]]) -> list[Outcome[T]]:
        """One outcome a question, in order."""
        done = 0

        def one(question: Question[T]) -> Outcome[T]:
            nonlocal done
            outcome = self._one(question)
            with self._lock:
                done += 1
                self._all.append(outcome)
                if self._progress is not None and len(questions) > 1:
                    self._progress(done, len(questions))
            return outcome

        if len(questions) < 2 or self.settings.parallel == 1:
            return [one(question) for question in questions]
        with ThreadPoolExecutor(min(self.settings.parallel, len(questions)), "llm") as pool:
            return list(pool.map(one, questions))

    def estimate(self, questions: Sequence[Question[Any]]) -> Usage:
        """What the questions cost at most if every one is answered at once and in full; those known cost nothing."""
        found = Usage()
        for question in questions:
            if question.prompt is not None and self._cache.find(self._key(question)) is None:
                found = found + self._most(question, question.prompt.text)
        return found

    def _one(self, question: Question[T]) -> Outcome[T]:
        try:
            return self._asked(question)
        except TroubleError as trouble:
            if trouble.kind in FATAL:
                self._stopped.set()
            return Outcome(question.about, question.task, None, trouble.kind, trouble.detail)

    def _asked(self, question: Question[T]) -> Outcome[T]:
        prompt = question.prompt
        if prompt is None:
            raise TroubleError(question.kept or "kept-back")
        key = self._key(question)
        known = self._cache.find(key)
        if known is not None:
            value, problem = self._judged(question, known[0])
            # Samples may have changed since; then it is asked anew.
            if not problem:
                with self._lock:
                    self._saved = self._saved + known[1]
                return Outcome(question.about, question.task, value, cached=True)
        messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
        kind: Kind = "not-fitting"
        problem, spent = "", Usage()
        for attempt in range(1, _TRIES + 1):
            reply = self._reply(question, messages)
            spent = spent + reply.usage
            value, problem = self._judged(question, reply.text)
            if not problem:
                self._cache.keep(key, reply.text, spent)
                return Outcome(question.about, question.task, value, tries=attempt)
            kind = "not-json" if problem == WORDS["not-json"] else "not-fitting"
            # What is said here may name samples, what is sent back may not.
            told = error_in_words(problem, prompt.text + reply.text, self._samples)
            messages = [
                *messages,
                {"role": "assistant", "content": reply.text[:_MAX_REPEATED]},
                {"role": "user", "content": correction(told)},
            ]
        return Outcome(
            question.about, question.task, None, kind, problem if kind == "not-fitting" else "", tries=_TRIES
        )

    def _judged(self, question: Question[T], text: str) -> tuple[Any, str]:
        try:
            return question.judge(read_answer(question.kind, text))
        except TroubleError as trouble:
            return None, trouble.detail if trouble.kind == "not-fitting" else WORDS[trouble.kind]

    def _reply(self, question: Question[T], messages: Sequence[Mapping[str, str]]) -> Reply:
        if self._cancel.is_set():
            raise TroubleError("cancelled")
        if self._stopped.is_set():
            raise TroubleError("stopped")
        most = self._most(question, "".join(row["content"] for row in messages))
        if not self.meter.take(most):
            raise TroubleError("budget")
        used = Usage()
        try:
            reply = self._answering().ask(messages, question.kind, question.task, self._limit(question))
            used = reply.usage
        except PaidTroubleError as trouble:
            used = trouble.usage
            raise
        finally:
            self.meter.settle(most, used)
        return reply

    def _answering(self) -> Answering:
        with self._lock:
            if self._endpoint is None:
                self._endpoint = self._make()
            return self._endpoint

    def _most(self, question: Question[Any], text: str) -> Usage:
        schema = tokens_of(str(schema_of(question.kind)))
        return Usage(tokens_of(text) + schema, self._limit(question) + self.settings.extra_tokens)

    def _limit(self, question: Question[Any]) -> int:
        return min(question.most, self.settings.answer_tokens)

    def _key(self, question: Question[Any]) -> str:
        prompt = question.prompt
        assert prompt is not None  # noqa: S101 - asked only for questions that are sent
        settings = self.settings
        return fingerprint(
            1, settings.base_url, settings.model, settings.mode, settings.temperature, settings.seed, question.task,
            prompt.system, prompt.user, schema_of(question.kind), question.most,
        )  # fmt: skip
