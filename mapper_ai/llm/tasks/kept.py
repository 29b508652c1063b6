"""A question, or the note that it must not be asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mapper_ai.llm.asking import Judge, Question
from mapper_ai.llm.errors import TroubleError
from mapper_ai.llm.prompts import Prompt
from mapper_ai.llm.wire import Wire

T = TypeVar("T")


def question_or_kept(
    about: str, task: str, prompt: Callable[[], Prompt], kind: type[Wire], most: int, judge: Judge[T]
) -> Question[T]:
    """A question whose prompt may turn out to hold what must not leave."""
    try:
        return Question(about, task, prompt(), kind, most, judge)
    except TroubleError as trouble:
        return Question(about, task, None, kind, most, judge, kept=trouble.kind)
