"""What can go wrong between us and a language model. None of it stops anything: the deterministic result stands."""

from __future__ import annotations

from typing import Final, Literal

from mapper_ai.errors import MapperError

Kind = Literal[
    "refused",
    "content-filter",
    "too-long",
    "not-json",
    "not-fitting",
    "empty",
    "reasoning-only",
    "unauthorized",
    "not-found",
    "rate-limit",
    "server-error",
    "bad-request",
    "timeout",
    "unreachable",
    "budget",
    "kept-back",
    "stopped",
    "cancelled",
]

WORDS: Final[dict[Kind, str]] = {
    "refused": "refused to answer",
    "content-filter": "stopped by the provider's content filter",
    "too-long": "cut off at the token limit",
    "not-json": "no JSON in the answer (the endpoint ignores the schema)",
    "not-fitting": "failed on the contract or the samples twice and dropped",
    "empty": "empty answer",
    "reasoning-only": "thought, but did not answer: raise [llm] extra_tokens",
    "unauthorized": "the endpoint refused the key: check OPENAI_API_KEY",
    "not-found": "the endpoint does not know the model or the address: check [llm] model and OPENAI_BASE_URL",
    "rate-limit": "too many requests, or the account has no credit left",
    "server-error": "the endpoint failed",
    "bad-request": "the endpoint did not take the request",
    "timeout": "no answer in time",
    "unreachable": "the endpoint cannot be reached: check OPENAI_BASE_URL",
    "budget": "not asked: the budget is used up",
    "kept-back": "not asked: the question would have carried a customer's value",
    "stopped": "not asked after the failure before",
    "cancelled": "not asked any more",
}
# No further question has a chance after these.
FATAL: Final[frozenset[Kind]] = frozenset({"unauthorized", "not-found", "unreachable"})


class LlmError(MapperError):
    """The settings of the language model do not fit; the message names file and key, or the variable."""


class NotSetUpError(LlmError):
    """There is no model, key or package to ask with; whoever can do without goes on without."""


class TroubleError(Exception):
    """One question has no answer.

    Attributes:
        kind: What happened.
        detail: The endpoint's words in one line; may be empty.
    """

    def __init__(self, kind: Kind, detail: str = "") -> None:
        super().__init__(f"{WORDS[kind]} ({detail})" if detail else WORDS[kind])
        self.kind: Kind = kind
        self.detail = detail
