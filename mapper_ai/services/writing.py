"""Steps in plain words: the language model's proposal for one part, judged by the samples before anybody sees it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mapper_ai.errors import InputError, MapperError
from mapper_ai.services.rows import part_steps
from mapspec import MappingSpec


@dataclass(frozen=True)
class Written:
    """Steps as text, and what is to be known about them: why, what left, what it cost."""

    steps: str
    notes: str


def problem() -> str:
    """Why nobody can be asked; "" when a language model is set up."""
    from mapper_ai.llm.settings import load_llm_settings

    try:
        load_llm_settings()
    except MapperError as error:
        return error.message
    return ""


def write_steps(
    spec: MappingSpec,
    part: str,
    request: str,
    records: Sequence[Mapping[str, Any]],
    cancel: threading.Event | None = None,
) -> Written:
    """Steps that do what a person asks for.

    Args:
        cancel: Once set, nothing more is asked.

    Raises:
        InputError: There is no answer that works; the message says what happened.
        LlmError: No language model is set up.
    """
    from mapper_ai.llm.colleague import Colleague
    from mapper_ai.llm.errors import WORDS
    from mapper_ai.llm.settings import load_llm_settings

    told: list[str] = []
    with Colleague(load_llm_settings(), records, tell=told.append, cancel=cancel) as colleague:
        outcome = colleague.write_steps(spec, part, request)
        lines = [*told, *colleague.tally.lines(colleague.settings, "there is no answer")]
    if outcome.value is None:
        happened = WORDS[outcome.trouble] if outcome.trouble else "no answer"
        raise InputError(f"{happened}{f' ({outcome.detail})' if outcome.detail else ''}")
    return Written(part_steps(outcome.value.rule), "\n".join([*filter(None, [outcome.value.why]), *lines]))
