"""Speaks to an OpenAI-compatible endpoint. The one module that imports openai, and only when somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mapper_ai.llm.budget import Usage, tokens_of
from mapper_ai.llm.dialect import Dialect
from mapper_ai.llm.errors import Kind, NotSetUpError, TroubleError
from mapper_ai.llm.facts import one_line
from mapper_ai.llm.settings import LlmSettings
from mapper_ai.llm.wire import Wire

if TYPE_CHECKING:
    from openai import OpenAI

_CONNECT_S: Final = 10.0
_MAX_PUT_AGAIN: Final = 6
_DETAIL: Final = 160


@dataclass(frozen=True)
class Reply:
    """An answer's text, what it cost, and the way it was held to its schema."""

    text: str
    usage: Usage
    held: str


class Endpoint:
    """One endpoint with one model; safe to use from several threads. Learns the endpoint's dialect from refusals."""

    def __init__(self, settings: LlmSettings) -> None:
        """Raises NotSetUpError when openai is not installed."""
        try:
            import openai
        except ImportError:
            raise NotSetUpError("the openai package is not installed: pip install 'mapper-ai[llm]'") from None
        self.settings = settings
        self._openai = openai
        self._client: OpenAI = openai.OpenAI(
            base_url=settings.base_url,
            # Local endpoints want no key, the package wants one.
            api_key=settings.api_key.get_secret_value() if settings.api_key else "none",
            timeout=openai.Timeout(settings.timeout_s, connect=min(_CONNECT_S, settings.timeout_s)),
            max_retries=settings.retries,
        )
        self._dialect = Dialect.of(settings)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def dialect(self) -> Dialect:
        """As learned so far."""
        with self._lock:
            return self._dialect

    def ask(self, messages: Sequence[Mapping[str, str]], kind: type[Wire], name: str, most: int) -> Reply:
        """One answer.

        Raises:
            TroubleError: There is none, with what happened.
        """
        for _ in range(_MAX_PUT_AGAIN):
            dialect = self.dialect
            body = dialect.request(self.settings.model, messages, kind, name, most + self.settings.extra_tokens)
            try:
                return self._read(self._sent(body), body, dialect)
            except TroubleError as trouble:
                other = dialect.after_refusal(trouble.detail) if trouble.kind == "bad-request" else None
                if other is None:
                    raise
                with self._lock:
                    # Another thread may have learned something else meanwhile; it is learned again if it matters.
                    self._dialect = other
        raise TroubleError("bad-request", "refused in every form")

    def models(self) -> list[dict[str, Any]]:
        """What the endpoint says of its models.

        Raises:
            TroubleError: It does not say.
        """
        return [row.model_dump() for row in self._guarded(lambda: list(self._client.models.list().data or []))]

    def _sent(self, body: dict[str, Any]) -> Any:
        return self._guarded(lambda: self._client.chat.completions.create(**body))

    def _guarded(self, call: Any) -> Any:
        """The call's result; the package's errors become troubles."""
        kinds = self._openai
        try:
            return call()
        except kinds.APITimeoutError:
            raise TroubleError("timeout", f"{self.settings.timeout_s:g} s, {self.settings.retries} retries") from None
        except kinds.APIConnectionError as error:
            raise TroubleError("unreachable", one_line(str(error.__cause__ or error), _DETAIL)) from None
        except (kinds.AuthenticationError, kinds.PermissionDeniedError) as error:
            raise TroubleError("unauthorized", f"status {error.status_code}") from None
        except kinds.NotFoundError as error:
            raise TroubleError("not-found", _said(error)) from None
        except kinds.RateLimitError as error:
            raise TroubleError("rate-limit", _said(error)) from None
        except kinds.APIStatusError as error:
            kind: Kind = "server-error" if error.status_code >= 500 else "bad-request"
            if kind == "bad-request" and "content_filter" in str(error).casefold():
                raise TroubleError("content-filter") from None
            raise TroubleError(kind, f"status {error.status_code}: {_said(error)}") from None
        except (kinds.OpenAIError, ValueError, TypeError, AttributeError) as error:
            # No JSON, or JSON of another shape than a chat completion.
            raise TroubleError("server-error", f"no chat completion: {type(error).__name__}") from None

    def _read(self, answer: Any, body: dict[str, Any], dialect: Dialect) -> Reply:
        choices = getattr(answer, "choices", answer)
        if isinstance(choices, str):
            raise TroubleError("server-error", "no chat completion, but text")
        if not choices:
            raise TroubleError("empty", "no choices")
        choice = choices[0]
        message = choice.message
        if message is None:
            raise TroubleError("empty", "no message")
        usage = _usage(answer, body, message)
        if getattr(message, "refusal", None):
            raise _paid("refused", usage)
        if choice.finish_reason == "content_filter":
            raise _paid("content-filter", usage)
        text = message.content if isinstance(message.content, str) else ""
        for call in message.tool_calls or []:
            text = text.strip() or (getattr(call.function, "arguments", "") or "")
        thought = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
        if not text.strip() and thought:
            raise _paid("reasoning-only", usage)
        if choice.finish_reason == "length":
            raise _paid("too-long", usage)
        if not text.strip():
            raise _paid("empty", usage)
        return Reply(text, usage, dialect.held)


class PaidTroubleError(TroubleError):
    """A trouble that cost tokens.

    Attributes:
        usage: What it cost.
    """

    usage: Usage = Usage()


def _paid(kind: Kind, usage: Usage) -> PaidTroubleError:
    error = PaidTroubleError(kind)
    error.usage = usage
    return error


def _usage(answer: Any, body: dict[str, Any], message: Any) -> Usage:
    """What the endpoint counted; an estimate where it did not."""
    told = getattr(answer, "usage", None)
    count_in, count_out = (getattr(told, name, None) for name in ("prompt_tokens", "completion_tokens"))
    if isinstance(count_in, int) and isinstance(count_out, int) and count_in >= 0 and count_out >= 0:
        return Usage(count_in, count_out)
    sent = sum(tokens_of(row["content"]) for row in body["messages"])
    return Usage(sent, tokens_of(str(message.content or "")))


def _said(error: Any) -> str:
    """The endpoint's own words. They may repeat the request, which holds nothing that must not be shown."""
    body = getattr(error, "body", None)
    text = body.get("message") if isinstance(body, dict) else None
    return one_line(str(text or getattr(error, "message", "")), _DETAIL)
