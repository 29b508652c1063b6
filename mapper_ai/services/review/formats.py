"""The formats of a review by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mapper_ai.services.review.machines import as_github, as_gitlab, as_junit, as_sarif
from mapper_ai.services.review.markdown import as_markdown
from mapper_ai.services.review.plain import as_json, as_text
from mapper_ai.services.review.report import FailOn, Review

FORMATS: Final[Mapping[str, Callable[[Review, FailOn], str]]] = {
    "markdown": as_markdown,
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "github": as_github,
    "gitlab": as_gitlab,
    "junit": as_junit,
}
