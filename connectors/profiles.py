"""System profiles: what is known of a system, as data in `systems/*.yaml`.

A profile holds entities with their contract (JSON Schema 2020-12 plus `x-` members), endpoints, paging, sign-in,
webhooks, limits, and every assumption or unknown as one named setting. Scalars are read as text and converted
only where the schema says so: `NO` stays a country and `010` a code.

Contract members beyond JSON Schema: `x-access` (R required on create, W writable, RO read-only, C writable on
create only), `x-aliases` (idealised or usual names of the field), `x-note`, `x-source` (see the profile's
`sources`), `x-values` (usual values of an open list), `x-type: money` on `{amount, code}`. `required` and
`readOnly` follow from `x-access`, and a definition named by `$ref` stands in place, so a contract is complete in
itself. With `x-null: absent` a profile says that null means absent: every optional field then takes null too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

from connectors.corrections import corrected, follow

_FOLDER = Path(__file__).parent / "systems"
_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
_NUMERIC_KEYWORDS = ("maxLength", "minLength", "maxItems", "minItems", "minimum", "maximum")
_BOOLEAN_KEYWORDS = ("readOnly", "additionalProperties", "uniqueItems")
_FORMAT_TYPES = {
    "decimal": "decimal",
    "date": "date",
    "date-time": "instant",
    "datetime-eastern": "instant",
    "datetime-utc": "instant",
}
_TOLD_BY_MONEY = ("x-access", "x-aliases", "x-note", "x-source")
_JSON_TYPES = {"array": "list", "string": "text", "integer": "int", "number": "decimal", "boolean": "bool"}

# The C loader needs 15 ms where the Python one needs 150; both read every scalar as text.
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Setting(_Frozen):
    """One assumption or unknown; `value` is what the connectors do until somebody knows better.

    Attributes:
        type: What it may hold (`connectors.kinds`); empty for anything.
        read_by: The parts that stand on it: connector, sign-in, poll, ingress, inbox, runner, contract, mapping.
        carried: Where a mapping says the same, so that the two can be compared (`mapper systems show`).
        elsewhere: The profile it belongs to, when it says nothing in this one.
        origin: "profile", or where a correction stands: "mapper.toml:7".
    """

    text: str
    value: Any = None
    source: str | None = None
    type: Any = ""
    read_by: tuple[str, ...] = ()
    carried: dict[str, Any] = {}
    elsewhere: str = ""
    origin: str = "profile"


class ContractField(_Frozen):
    """One leaf of a contract.

    Attributes:
        path: Dotted, `[]` for arrays: `lines[].unit_cost.amount`.
        type: text, int, decimal, bool, date, instant; object or list where the contract leaves the inside open.
        required: Must be present on create, all parents included.
        read_only: Computed by the system, or only readable.
        enum: Allowed or, for an open list, usual values; empty when none are known.
        max_length: Characters, None when no fact states one.
        aliases: Other names of the field, idealised ones included.
        note: Short, from the facts.
        access: R, W, RO, C or empty.
        format: JSON Schema format, empty when none.
        source: Tag of the fact.
    """

    path: str
    type: str
    required: bool = False
    read_only: bool = False
    enum: tuple[str | int, ...] = ()
    max_length: int | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""
    access: str = ""
    format: str = ""
    source: str = ""


class EntityProfile(_Frozen):
    """One kind of record: where it lives and what it looks like.

    Attributes:
        path: Below the system's prefix, without a leading slash.
        key: Member that wraps one object; empty when nothing wraps it.
        list_key: Member of a list answer that holds the rows.
        id_key: Member that identifies an object.
        delete: put-vis-state, http-delete, put-vis-state-or-http-delete or none.
        filters: Filter name -> match kind (equals, like, min, max), as far as known.
        aliases: Idealised endpoint names.
        templates: `path` and `list_key` as written, with `@A6.order` for what a setting says.
        contract: JSON Schema 2020-12; shared, do not change it.
    """

    name: str
    path: str = ""
    key: str = ""
    list_key: str = ""
    id_key: str = "id"
    delete: str = "none"
    includes: tuple[str, ...] = ()
    filters: dict[str, str] = {}
    aliases: tuple[str, ...] = ()
    note: str = ""
    templates: dict[str, str] = {}
    contract: dict[str, Any]


class SystemProfile(_Frozen):
    """Everything known of one system.

    Attributes:
        system: File name without ending: "freshbooks".
        version: Of the contracts; a change of meaning raises it.
        sources: Fact tag -> what it is.
        settings: Assumptions and unknowns by name; A1..A47 for Clarity.
    """

    system: str
    version: str
    title: str
    base_url: str = ""
    sources: dict[str, str] = {}
    auth: dict[str, Any] = {}
    paging: dict[str, Any] = {}
    webhooks: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    settings: dict[str, Setting] = {}
    entities: dict[str, EntityProfile]

    def entity(self, name: str) -> EntityProfile:
        """An entity by name.

        Raises:
            ValueError: Unknown name; the message lists the known ones.
        """
        found = self.entities.get(name)
        if found is None:
            raise ValueError(f"{self.system} has no entity {name!r}; known: {', '.join(self.entities)}")
        return found

    def fields(self, entity: str) -> list[ContractField]:
        """The leaves of an entity's contract in the order of the profile."""
        return list(_leaves(self.entity(entity).contract, "", required=True, read_only=False))

    def with_settings(self, values: Mapping[str, Any], *, origin: str = "given") -> SystemProfile:
        """A copy with other values for some settings; see `connectors.corrections`.

        Raises:
            ValueError: Unknown setting, or a value that does not fit.
        """
        return corrected(self, values, origin=origin)

    def assumed(self, name: str, member: str = "") -> Any:
        """The value of a setting, or of one member of it."""
        value = self.settings[name].value
        return value[member] if member else value


def list_systems() -> list[str]:
    """Names of the shipped profiles, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


@cache
def load_profile(system: str) -> SystemProfile:
    """Read a shipped profile; the same object on every call.

    Raises:
        ValueError: Unknown system; the message lists the known ones.
    """
    if system not in list_systems():
        raise ValueError(f"unknown system {system!r}; known: {', '.join(list_systems())}")
    return parse_profile(system, (_FOLDER / f"{system}.yaml").read_text(encoding="utf-8"))


def parse_profile(system: str, text: str) -> SystemProfile:
    """Build a profile from YAML text; pure.

    Raises:
        ValueError: Not a profile (pydantic's message names the member).
        yaml.YAMLError: Not YAML.
    """
    data = yaml.load(text, Loader=_Loader)  # noqa: S506  the base loader makes text, lists and mappings only
    definitions = data.pop("$defs", {})
    default_source = data.pop("x-source", "")
    nullable = data.pop("x-null", "") == "absent"
    for section in ("auth", "paging", "webhooks", "limits", "errors"):
        if section in data:
            data[section] = _scalars(data[section])
    data["settings"] = {**data.get("settings", {}), **data.pop("unknown", {})}
    for setting in data["settings"].values():
        setting["value"] = _scalars(setting.get("value"))
    for name, entity in data["entities"].items():
        source = entity.pop("x-source", default_source)
        contract = _expand(entity["contract"], definitions, source, nullable)
        entity["name"] = name
        entity["contract"] = {"$schema": _SCHEMA_DIALECT, "$id": f"{system}/{name}", "x-source": source} | contract
    return follow(SystemProfile.model_validate({"system": system, **data}))


def entity_schema(ref: str) -> dict[str, Any]:
    """The contract behind "freshbooks/invoice" (or "freshbooks:invoice"); shared, do not change it.

    Raises:
        ValueError: Unknown system or entity.
    """
    system, _, entity = ref.replace(":", "/", 1).partition("/")
    return load_profile(system).entity(entity).contract


def _scalars(value: Any) -> Any:
    """Text of a settings section as int, Decimal, bool or null where it looks like one."""
    if isinstance(value, dict):
        return {key: _scalars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_scalars(item) for item in value]
    if not isinstance(value, str):
        return value
    if value in _WORDS:
        return _WORDS[value]
    if _INTEGER.fullmatch(value):
        return int(value)
    return Decimal(value) if _DECIMAL.fullmatch(value) else value


def _expand(schema: dict[str, Any], definitions: Mapping[str, Any], source: str, nullable: bool) -> dict[str, Any]:
    """Definitions in place, keywords typed, `readOnly` and `required` from `x-access`, sources filled in."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        schema = {**definitions[name], **{key: item for key, item in schema.items() if key != "$ref"}}
    out: dict[str, Any] = dict(schema)
    for key in _NUMERIC_KEYWORDS:
        if key in out:
            out[key] = int(out[key])
    for key in _BOOLEAN_KEYWORDS:
        if out.get(key) in ("true", "false"):
            out[key] = out[key] == "true"
    for key in ("enum", "default", "const"):
        if key in out:
            out[key] = _typed(out[key], out.get("type"))
    if out.get("x-access") == "RO":
        out["readOnly"] = True
    if "properties" in out:
        out["properties"] = {
            name: _expand(item, definitions, item.get("x-source", source), nullable)
            for name, item in out["properties"].items()
        }
        for item in out["properties"].values():
            item.setdefault("x-source", source)
            if nullable and item.get("x-access") != "R" and "type" in item:
                kinds = [item["type"]] if isinstance(item["type"], str) else item["type"]
                item["type"] = list(dict.fromkeys([*kinds, "null"]))
        required = [name for name, item in out["properties"].items() if item.get("x-access") == "R"]
        if required:
            out["required"] = required
    if "items" in out:
        out["items"] = _expand(out["items"], definitions, source, nullable)
    return out


def _typed(value: Any, kind: Any) -> Any:
    if isinstance(value, list):
        return [_typed(item, kind) for item in value]
    if kind == "integer":
        return int(value)
    return _WORDS.get(value, value) if kind == "boolean" or value == "null" else value


def _leaves(
    schema: Mapping[str, Any], path: str, *, required: bool, read_only: bool, money: Mapping[str, Any] | None = None
) -> Iterator[ContractField]:
    """Walk down to the leaves; the amount of a money object speaks for it: its access, aliases and note."""
    read_only = read_only or bool(schema.get("readOnly"))
    properties = schema.get("properties")
    if isinstance(properties, dict):
        needed = schema.get("required", ())
        for name, item in properties.items():
            inner = f"{path}.{name}" if path else name
            outer = schema if schema.get("x-type") == "money" and name == "amount" else None
            yield from _leaves(item, inner, required=required and name in needed, read_only=read_only, money=outer)
        return
    items = schema.get("items")
    if isinstance(items, dict) and items:
        # What stands in a list is required only where the list holds something.
        yield from _leaves(items, f"{path}[]", required=required, read_only=read_only)
        return
    told = {**schema, **{key: item for key, item in (money or {}).items() if key in _TOLD_BY_MONEY}}
    yield ContractField(
        path=path,
        type=_leaf_type(schema),
        required=required,
        read_only=read_only,
        enum=tuple(value for value in schema.get("enum", schema.get("x-values", ())) if value is not None),
        max_length=schema.get("maxLength"),
        aliases=tuple(told.get("x-aliases", ())),
        note=told.get("x-note", ""),
        access="RO" if read_only else told.get("x-access", ""),
        format=schema.get("format", ""),
        source=told.get("x-source", ""),
    )


def _leaf_type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object")
    kinds = [kind] if isinstance(kind, str) else [name for name in kind if name != "null"]
    if schema.get("format") in _FORMAT_TYPES:
        return _FORMAT_TYPES[schema["format"]]
    return _JSON_TYPES.get(kinds[0], "object") if kinds else "object"
