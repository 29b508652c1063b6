"""How a request is put to an endpoint, and what to change when it refuses the way it was put.

OpenAI-compatible endpoints differ in what they take: a schema, a JSON mode, tools; `max_tokens` or
`max_completion_tokens`; a temperature and seed or none. Their refusals (400) name the parameter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from mapper_ai.llm.settings import LlmSettings
from mapper_ai.llm.wire import Wire, schema_of

Held = Literal["json_schema", "json_object", "tools", "plain"]
# From the firmest to the loosest.
STEPS: Final[tuple[Held, ...]] = ("json_schema", "tools", "json_object", "plain")
_SCHEMA_WORDS: Final = ("maxlength", "maxitems", "minimum", "maximum", "minitems", "not permitted", "not supported in")
_MODE_WORDS: Final = ("response_format", "json_schema", "json_object", "structured", "schema", "tool", "grammar")


@dataclass(frozen=True)
class Dialect:
    """What an endpoint takes.

    Attributes:
        held: How the answer is held to its schema.
        bounds: Whether the schema may have lengths and ranges.
        limit: Name of the parameter for the answer's length.
        temperature: None leaves it out.
        seed: The same.
        fixed: The way of holding was chosen by a person; it is not changed.
    """

    held: Held = "json_schema"
    bounds: bool = True
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: float | None = 0.0
    seed: int | None = 1
    fixed: bool = False

    @classmethod
    def of(cls, settings: LlmSettings) -> Dialect:
        """The first try."""
        held: Held = "json_schema" if settings.mode == "auto" else settings.mode
        return cls(held=held, temperature=settings.temperature, seed=settings.seed, fixed=settings.mode != "auto")

    def request(
        self, model: str, messages: Sequence[Mapping[str, str]], kind: type[Wire], name: str, most: int
    ) -> dict[str, Any]:
        """The body of a chat completion."""
        body: dict[str, Any] = {"model": model, "messages": [dict(row) for row in messages], self.limit: most}
        if self.temperature is not None:
            body["temperature"] = self.temperature
        if self.seed is not None:
            body["seed"] = self.seed
        schema = schema_of(kind, bounds=self.bounds)
        if self.held == "json_schema":
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": schema, "strict": True},
            }
        elif self.held == "tools":
            function = {"name": name, "parameters": schema, "strict": True}
            body["tools"] = [{"type": "function", "function": function}]
            body["tool_choice"] = {"type": "function", "function": {"name": name}}
        else:
            if self.held == "json_object":
                body["response_format"] = {"type": "json_object"}
            told = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
            body["messages"][0]["content"] += f"\nThe answer's JSON Schema: {told}"
        return body

    def after_refusal(self, message: str) -> Dialect | None:
        """Another way to put it, by the words of a 400; None when there is none."""
        said = message.casefold()
        if "max_completion_tokens" in said and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        if "max_tokens" in said and self.limit == "max_completion_tokens":
            return replace(self, limit="max_tokens")
        if "temperature" in said and self.temperature is not None:
            return replace(self, temperature=None)
        if "seed" in said and self.seed is not None:
            return replace(self, seed=None)
        if self.bounds and any(word in said for word in _SCHEMA_WORDS):
            return replace(self, bounds=False)
        if any(word in said for word in _MODE_WORDS):
            return self.looser()
        return None

    def looser(self) -> Dialect | None:
        """The next looser way of holding the answer; None at the end, or when a person chose the way."""
        place = STEPS.index(self.held) + 1
        return None if self.fixed or place == len(STEPS) else replace(self, held=STEPS[place])
