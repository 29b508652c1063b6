"""Tries an endpoint: which ways of holding an answer to a schema work there, and which are enforced.

A way works when a plain question comes back in the form asked for. It is enforced when the form holds even though the
question asks for a poem: an endpoint that ignores schemas answers with one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from mapper_ai.llm.budget import Usage
from mapper_ai.llm.dialect import STEPS, Held
from mapper_ai.llm.endpoint import Endpoint, PaidTroubleError
from mapper_ai.llm.errors import FATAL, Kind, TroubleError
from mapper_ai.llm.settings import LlmSettings
from mapper_ai.llm.wire import Wire, read_answer

_MOST: Final = 60
# As FATAL: what says nothing of a way of holding, and would say the same of the next.
_ENOUGH: Final = FATAL | {"rate-limit", "timeout"}
_SYSTEM: Final = "Answer with one JSON object and nothing else."
_PLAIN: Final = 'Is the sea blue or green? The form of the answer: {"colour":"green","sure":"low"}'
_CONTRARY: Final = "Write a short poem about the sea. Write no JSON and no braces at all, only the poem."


class Colour(Wire):
    """Answer of the trial."""

    colour: Literal["blue", "green"]
    sure: Literal["high", "medium", "low"]


@dataclass(frozen=True)
class Way:
    """How one way of holding did.

    Attributes:
        works: A plain question came back in the form asked for.
        enforced: So did a contrary one; None where nothing promises it (json_object, plain).
        trouble: What happened where it does not work.
        failed: The endpoint failed, whatever it was asked.
        note: What had to be put another way.
    """

    held: Held
    works: bool
    enforced: bool | None
    trouble: str = ""
    note: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Checkup:
    """What is known of an endpoint.

    Attributes:
        server: What answers there, as far as it shows.
        listed: Whether the model is in its list; None when it gives none.
        ways: One a way; the ones not tried after a fatal failure are left out.
        best: What `mode = "auto"` comes to; None when nothing works.
        failure: Why nothing was tried any more.
    """

    server: str
    listed: bool | None
    ways: tuple[Way, ...]
    best: Held | None
    spent: Usage
    failure: Kind | None = None
    detail: str = ""


def check(settings: LlmSettings) -> Checkup:
    """Try every way once or twice.

    Raises:
        NotSetUpError: openai is not installed.
    """
    ways: list[Way] = []
    spent = Usage()
    endpoint = Endpoint(settings)
    try:
        models: list[dict[str, Any]] | None = endpoint.models()
    except TroubleError as trouble:
        if trouble.kind in ("unauthorized", "unreachable", "timeout"):
            return Checkup(_server(settings, []), None, (), None, spent, trouble.kind, trouble.detail)
        models = None
    finally:
        endpoint.close()
    listed = None if models is None else any(row.get("id") == settings.model for row in models)
    for held in STEPS:
        probe = Endpoint(settings.model_copy(update={"mode": held}))
        try:
            way, used = _try(probe, held)
        except TroubleError as trouble:
            kind, told = trouble.kind, trouble.detail
            return Checkup(_server(settings, models), listed, tuple(ways), None, spent, kind, told)
        finally:
            probe.close()
        spent = spent + used
        ways.append(way)
    enforced = [way.held for way in ways if way.works and way.enforced]
    working = [way.held for way in ways if way.works]
    best = next(iter([*enforced, *working]), None)
    failure: Kind | None = "server-error" if all(way.failed for way in ways) else None
    return Checkup(_server(settings, models), listed, tuple(ways), best, spent, failure)


def _try(endpoint: Endpoint, held: Held) -> tuple[Way, Usage]:
    spent, trouble = _asked(endpoint, _PLAIN)
    dialect = endpoint.dialect
    notes = [
        text
        for text, changed in (
            ("takes max_completion_tokens", dialect.limit == "max_completion_tokens"),
            ("takes no temperature", dialect.temperature is None and endpoint.settings.temperature is not None),
            ("takes no seed", dialect.seed is None and endpoint.settings.seed is not None),
            ("takes no lengths and ranges in a schema", not dialect.bounds),
        )
        if changed
    ]
    enforced: bool | None = None
    if trouble is None and held in ("json_schema", "tools"):
        more, ignored = _asked(endpoint, _CONTRARY)
        enforced, spent = ignored is None, spent + more
    # What is dropped elsewhere is only looked at here.
    other = trouble is not None and trouble.kind == "not-fitting"
    told = "" if trouble is None else f"another form: {trouble.detail}" if other else str(trouble)
    failed = trouble is not None and trouble.kind == "server-error"
    return Way(held, trouble is None, enforced, told, ", ".join(notes), failed), spent


def _asked(endpoint: Endpoint, question: str) -> tuple[Usage, TroubleError | None]:
    """What an answer cost, and why it has not the form. Troubles that say enough are raised."""
    messages: Sequence[Mapping[str, str]] = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": question},
    ]
    used = Usage()
    try:
        reply = endpoint.ask(messages, Colour, "colour", _MOST)
        used = reply.usage
        read_answer(Colour, reply.text)
    except TroubleError as trouble:
        if trouble.kind in _ENOUGH:
            raise
        if isinstance(trouble, PaidTroubleError):
            used = trouble.usage
        return used, trouble
    return used, None


def _server(settings: LlmSettings, models: list[dict[str, Any]] | None) -> str:
    """What answers there, by the host and by what it says of its models."""
    host = urlsplit(settings.base_url).hostname or ""
    for end, name in (("openai.com", "OpenAI"), ("azure.com", "Azure"), ("azure.net", "Azure")):
        if host == end or host.endswith("." + end):
            return name
    owners = {str(row.get("owned_by", "")).casefold() for row in models or []}
    for owner, name in (
        ("llamacpp", "llama.cpp"),
        ("vllm", "vLLM"),
        ("library", "Ollama"),
        ("organization_owner", "LM Studio"),
        ("openai", "OpenAI-compatible"),
    ):
        if owner in owners:
            return name
    return {11434: "perhaps Ollama", 1234: "perhaps LM Studio"}.get(urlsplit(settings.base_url).port or 0, "unknown")
