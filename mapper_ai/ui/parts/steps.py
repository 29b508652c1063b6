"""Checks edited steps before they are saved, with the very code that saves them. Pure."""

from __future__ import annotations

from mapper_ai.errors import UnknownPartError
from mapper_ai.services.edits import change_steps
from mapspec import MappingSpec, SpecError, compile_spec


def editable(part: str) -> bool:
    """Whether a part has steps; the flow and the heads of lists are not made of steps."""
    return part != "flow" and not part.endswith("[]")


def check_steps(spec: MappingSpec, part: str, steps: str) -> str | None:
    """What is wrong with edited steps, as one line; None when they compile within the draft.

    Args:
        spec: The draft.
        part: A named value, a field, or a list member.
        steps: YAML, one step a line.
    """
    try:
        compile_spec(change_steps(spec, part, steps))
    except SpecError as error:
        return error.message if error.line is None else f"line {error.line}: {error.message}"
    except UnknownPartError as error:
        return error.message
    return None
