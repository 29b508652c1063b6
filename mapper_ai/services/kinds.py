"""The kinds of flows that can be proposed: their blueprints, and the target fields that no flow writes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

from mapspec import MappingSpec, load_spec
from mapspec.yamltext import read_yaml

# The flow that makes records of a target.
KINDS: Final = {
    "order-to-invoice": "freshbooks/invoice",
    "customer-to-client": "freshbooks/client",
    "payment-to-payment": "freshbooks/payment",
    "product-to-item": "freshbooks/item",
}


# Clarity's two flavours share no member name, so each has blueprints of its own; `rest` is the one that other sources
# are compared with.
SYSTEMS: Final = ("clarity-rest", "clarity-cef")


@cache
def blueprint(kind: str, system: str = SYSTEMS[0]) -> MappingSpec:
    """What a flow of this kind looks like.

    Args:
        kind: One of KINDS.
        system: Whose paths it is written with, one of SYSTEMS.

    Raises:
        KeyError: No such kind, or none for this system.
    """
    if kind not in KINDS or system not in SYSTEMS:
        raise KeyError(kind)
    name = kind if system == SYSTEMS[0] else f"{system}.{kind}"
    text = resources.files("mapper_ai.services").joinpath(f"blueprints/{name}.yaml").read_text(encoding="utf-8")
    return load_spec(text, where=f"blueprint {name}")


def why_left_out(spec: MappingSpec, target: str, path: str) -> str:
    """Why no flow writes a field of a target, empty for fields that may be proposed."""
    rows = left_out()
    return rows.get(f"{target}.*") or rows.get(f"{spec.entity_of(target)}.{path}", "")


@cache
def left_out() -> Mapping[str, str]:
    """Entity and path (`client.s_street`), or target name and star (`guest.*`) -> reason."""
    text = resources.files("mapper_ai.services").joinpath("blueprints/left-out.yaml").read_text(encoding="utf-8")
    data, _ = read_yaml(text, where="blueprints/left-out.yaml")
    return {f"{name}.{path}": reason for name, rows in data.items() for path, reason in rows.items()}


def kind_for(target: str) -> str | None:
    """The kind of flow that makes records of `freshbooks/invoice` or `freshbooks:invoice`; None when there is none."""
    return next((kind for kind, made in KINDS.items() if made == target.replace(":", "/")), None)
