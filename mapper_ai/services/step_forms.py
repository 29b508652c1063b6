"""The arguments of operations as a form asks for them, and steps changed one at a time. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from mapspec import SpecError
from mapspec.ops import CATALOGUE, THEMES, Operation, parse_step, write_step
from mapspec.paths import Path
from mapspec.yamltext import flow as one_line
from mapspec.yamltext import read_yaml

Kind = Literal["choice", "bool", "int", "path", "paths", "text", "yaml"]


@dataclass(frozen=True)
class Argument:
    """One argument of an operation.

    Attributes:
        kind: How a person gives it; `yaml` for what holds steps or conditions.
        choices: Of `choice`.
        required: It must be given.
        least, most: Of `int`, None where there is none.
    """

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    required: bool = False
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True)
class StepForm:
    """One step as a form shows it.

    Attributes:
        words: What the operation does.
        values: Argument -> as written in a spec.
    """

    name: str
    words: str
    arguments: tuple[Argument, ...]
    values: Mapping[str, Any]


def operations() -> list[tuple[str, str, str]]:
    """(theme, name, what it does) of every operation, in the order of the page of operations."""
    return [(theme, kind.name, _words(kind)) for theme, kinds in THEMES.items() for kind in kinds]


def forms_of(steps_yaml: str) -> list[StepForm] | None:
    """The steps of a text; None while the text is no list of steps."""
    try:
        data, _ = read_yaml(steps_yaml, where="steps")
        return [_form(parse_step(step)) for step in data] if isinstance(data, list) else None
    except (SpecError, ValueError):
        return None


def with_argument(steps_yaml: str, at: int, name: str, value: Any) -> str:
    """The text with another argument of step `at`; an empty value leaves it out."""
    steps = _steps(steps_yaml)
    written = dict(steps[at].arguments())
    if value in (None, "", [], ()):
        written.pop(name, None)
    else:
        written[name] = value
    return _text([*_plain(steps[:at]), _short({steps[at].name: written}), *_plain(steps[at + 1 :])])


def with_step(steps_yaml: str, name: str) -> str:
    """The text with one more step at its end, with the argument of the operation's first example."""
    return _text([*_plain(_steps(steps_yaml)), {name: CATALOGUE[name].examples[0].argument}])


def without_step(steps_yaml: str, at: int) -> str:
    """The text without step `at`."""
    steps = _steps(steps_yaml)
    return _text(_plain([*steps[:at], *steps[at + 1 :]]))


def moved_up(steps_yaml: str, at: int) -> str:
    """The text with step `at` one place earlier."""
    steps = _steps(steps_yaml)
    if at:
        steps[at - 1], steps[at] = steps[at], steps[at - 1]
    return _text(_plain(steps))


def argument_text(value: Any) -> str:
    """An argument of steps or conditions on one line."""
    return "" if value is None else one_line(value)


def read_argument(text: str) -> Any:
    """The other way round.

    Raises:
        SpecError: It is no YAML.
    """
    data, _ = read_yaml(f"- {text}" if text.strip() else "- ", where="argument")
    return data[0] if isinstance(data, list) and data else None


def _steps(steps_yaml: str) -> list[Operation]:
    if not steps_yaml.strip():
        return []
    data, _ = read_yaml(steps_yaml, where="steps")
    return [parse_step(step) for step in data] if isinstance(data, list) else []


def _plain(steps: Sequence[Operation]) -> list[Any]:
    return [write_step(step) for step in steps]


def _text(steps: Sequence[Any]) -> str:
    return "\n".join(f"- {one_line(step)}" for step in steps)


def _short(step: dict[str, Any]) -> Any:
    """The short form where the step is one already; else as it is, for the person to go on with."""
    try:
        return write_step(parse_step(step))
    except ValueError:
        return step


def _form(step: Operation) -> StepForm:
    kind = type(step)
    return StepForm(step.name, _words(kind), tuple(_arguments(kind)), step.arguments())


def _words(kind: type[Operation]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _arguments(kind: type[Operation]) -> list[Argument]:
    found = []
    for key, info in kind.model_fields.items():
        limits = {name: getattr(rule, name) for rule in info.metadata for name in ("ge", "le") if hasattr(rule, name)}
        how, choices = _kind(info.annotation)
        found.append(Argument(info.alias or key, how, choices, info.is_required(), limits.get("ge"), limits.get("le")))
    return found


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    while get_origin(annotation) is not None and getattr(annotation, "__metadata__", None):
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return "choice", tuple(str(value) for value in get_args(annotation))
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if annotation is bool:
        return "bool", ()
    if annotation is int or (inner == [int]):
        return "int", ()
    if annotation is Path:
        return "path", ()
    if annotation is str or inner == [str]:
        return "text", ()
    if get_origin(annotation) is tuple and inner and _kind(inner[0])[0] == "path":
        return "paths", ()
    if len(inner) == 1 and get_origin(annotation) is not tuple:
        return _kind(inner[0])
    return "yaml", ()
