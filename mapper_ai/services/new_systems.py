"""Profiles of further systems: from an OpenAPI description, a JSON Schema, or a folder of samples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from mapper_ai.core.fields import FieldProfile
from mapper_ai.core.profile import Profile, profile_records
from mapper_ai.errors import InputError
from mapper_ai.services.sampling import SUFFIXES, read_samples
from mapper_ai.services.schema_reading import Document, Reader

MAX_ENTITIES: Final = 200
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_CREATES: Final = ("post", "put", "patch")
_OPEN_WORDS: Final = re.compile(r"(?i)(status|state|type|kind|method|currency|language)$")
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _-]{0,29}")
_ENOUGH: Final = 5
_ORDER: Final = "order"


@dataclass(frozen=True)
class Entity:
    """One kind of record as it was found."""

    contract: Mapping[str, Any]
    path: str = ""
    key: str = ""
    list_key: str = ""
    endpoints: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Described:
    """A system as it was found; `notes` say what was left out."""

    title: str
    source: str
    entities: Mapping[str, Entity]
    base_url: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Resource:
    """What the operations of one resource say."""

    path: str = ""
    key: str = ""
    list_key: str = ""
    endpoints: list[str] = field(default_factory=list)
    answer: tuple[Any, str] | None = None
    request: tuple[Any, str] | None = None


def from_openapi(path: Path, *, only: Sequence[str] = ()) -> Described:
    """Read an OpenAPI 3.0 or 3.1 description: what its operations take and answer, else its schemas.

    Raises:
        InputError: One line with file and place.
    """
    document = Document(path)
    root = document.root
    version = str(root.get("openapi", ""))
    if not re.match(r"3\.[01]\b", version):
        said = f"openapi {version}" if version else f"swagger {root['swagger']}" if "swagger" in root else "no version"
        document.fail("/openapi", f"expected OpenAPI 3.0 or 3.1, found {said[:60]}")
    resources = _resources(document)
    reader = Reader(document)
    found: dict[str, Entity] = {}
    schemas = _schemas(document, "/components/schemas")
    for name, resource in resources.items():
        if not only or name in only:
            found[name] = _of_resource(resource, reader)
    for name, (schema, pointer) in schemas.items():
        if (
            name not in found
            and (name in only or (not only and not resources))
            and _is_object(schema, document, pointer)
        ):
            found[name] = Entity(reader.contract(schema, pointer))
    info = root.get("info") if isinstance(root.get("info"), dict) else {}
    servers = root.get("servers")
    address = (
        servers[0].get("url", "") if isinstance(servers, list) and servers and isinstance(servers[0], dict) else ""
    )
    return _checked(
        document,
        Described(
            title=str(info.get("title") or path.stem)[:80],
            source=f"OpenAPI {version}, {path.name}",
            entities=found,
            base_url=address if re.fullmatch(r"https?://[^\s{}]+", str(address)) else "",
            notes=document.notes,
        ),
        only,
        (*resources, *schemas),
    )


def from_json_schema(path: Path, *, only: Sequence[str] = ()) -> Described:
    """Read a JSON Schema: the root where it describes an object, and the definitions that are asked for.

    Raises:
        InputError: One line with file and place.
    """
    document = Document(path)
    reader, root = Reader(document), document.root
    definitions = {**_schemas(document, "/definitions"), **_schemas(document, "/$defs")}
    own = _name(str(root.get("title") or path.name.partition(".")[0]))
    candidates: dict[str, tuple[Any, str]] = {}
    if {"properties", "$ref", "allOf", "oneOf", "anyOf", "items"} & root.keys():
        schema: Any = root
        if "items" in root and "properties" not in root:
            schema = root["items"]
        candidates[own] = (schema, "")
    known = {**definitions, **candidates}
    chosen = {name: known[name] for name in only if name in known} if only else (candidates or definitions)
    found = {
        name: Entity(reader.contract(schema, pointer))
        for name, (schema, pointer) in chosen.items()
        if only or _is_object(schema, document, pointer)
    }
    dialect = str(root.get("$schema", "JSON Schema"))[:80]
    described = Described(
        str(root.get("title") or path.stem)[:80], f"{dialect}, {path.name}", found, "", notes=document.notes
    )
    return _checked(document, described, only, tuple(known))


def from_samples(path: Path, *, only: Sequence[str] = ()) -> Described:
    """Infer contracts from records: a file or folder is one kind of record, `order__x.json` one of kind order.

    Raises:
        InputError, SampleError: One line with file and place.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    groups: dict[str, list[Path]] = {}
    inside = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)
    for file in inside if path.is_dir() else [path]:
        groups.setdefault(_sample_kind(file, path), []).append(file)
    found: dict[str, Entity] = {}
    settings: dict[str, Any] = {}
    for name, files in sorted(groups.items()):
        if not only or name in only:
            records = [record for file in files for record in read_samples(file)]
            profile = profile_records(records)
            note = f"inferred from {len(records)} records"
            found[name] = Entity(_inferred(profile.fields, len(records)), note=note)
            if name == _ORDER:
                settings = _reading(profile)
    if not found:
        known = f"; found {', '.join(sorted(groups))}" if groups else ""
        raise InputError(f"{path}: no sample of {', '.join(only) or 'any kind'}{known}")
    return Described(path.stem, f"samples in {path.name}", found, settings=settings)


def profile_text(system: str, described: Described) -> str:
    """The profile as YAML; stable for equal input."""
    head = (
        f"# System profile {system}, made from {described.source}. Edit freely; docs/systems.md explains the members.\n"
    )
    data: dict[str, Any] = {"version": "1", "title": described.title, "x-source": "D"}
    if described.base_url:
        data["base_url"] = described.base_url
    data["sources"] = {"D": described.source}
    if described.settings:
        data["settings"] = dict(described.settings)
    data["entities"] = {name: _plain(entity) for name, entity in described.entities.items()}
    return head + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=118)


def _plain(entity: Entity) -> dict[str, Any]:
    told = {
        "path": entity.path,
        "key": entity.key,
        "list_key": entity.list_key,
        "aliases": list(entity.endpoints),
        "note": entity.note,
    }
    return {**{name: value for name, value in told.items() if value}, "contract": dict(entity.contract)}


def _reading(profile: Profile) -> dict[str, Any]:
    """How the runner reads this shop's orders, as settings of its profile that can be corrected."""
    from mapper_ai.services.kinds import blueprint
    from mapper_ai.services.propose import correspondences

    found = {
        old: new for old, new in correspondences(profile, blueprint("order-to-invoice")).items() if "[]" not in new
    }
    customer = found.get("customer.id", "").rpartition(".")[0]
    by_id = found.get("customerId", "")
    members = {
        "A8": ("Member with the time of the last change.", {"updated": found.get("updatedAt", "")}),
        "A12": ("A delivery is the record itself, without an envelope: one of this entity.", {"bare": _ORDER}),
        "A17": ("This member identifies a record.", found.get("id", "")),
        "A18": ("What people call an order.", {"member": found.get("orderNumber", "")}),
        "A28": (
            "The order's own customer, and the member that names one by id.",
            {"embedded": customer if "." not in customer else "", "by_id": by_id if "." not in by_id else ""},
        ),
    }
    made: dict[str, Any] = {}
    for name, (text, value) in members.items():
        kept = (
            {key: path for key, path in value.items() if path and "." not in path} if isinstance(value, dict) else value
        )
        if kept:
            kind: Any = dict.fromkeys(kept, "name") if isinstance(kept, dict) else "name"
            made[name] = {"text": text, "value": kept, "type": kind, "read_by": ["inbox", "runner"]}
    return made


def _resources(document: Document) -> dict[str, _Resource]:
    """Resources by name, from the paths; an operation without a JSON body tells only that it is there."""
    paths = document.root.get("paths")
    if paths is not None and not isinstance(paths, dict):
        document.fail("/paths", "expected an object")
    found: dict[str, _Resource] = {}
    for path, item in (paths or {}).items():
        pointer = f"/paths/{path.replace('~', '~0').replace('/', '~1')}"
        item = _followed(document, item, pointer)
        if not isinstance(item, dict):
            document.fail(pointer, "expected an object")
        steps = [part for part in path.split("/") if part and not part.startswith("{")]
        if not steps:
            continue
        resource = found.setdefault(_singular(_name(steps[-1])), _Resource())
        for method in _METHODS:
            operation = item.get(method)
            if isinstance(operation, dict):
                _read_operation(document, resource, path, method, operation, f"{pointer}/{method}")
    return {name: resource for name, resource in found.items() if resource.answer or resource.request}


def _read_operation(
    document: Document, resource: _Resource, path: str, method: str, operation: Mapping[str, Any], at: str
) -> None:
    resource.endpoints.append(f"{method.upper()} {path}")
    whole = not path.rstrip("/").endswith("}")
    if whole and not resource.path:
        resource.path = path.strip("/")
    if method in _CREATES:
        body = _json_schema(document, operation.get("requestBody"), f"{at}/requestBody")
        if body is not None and (resource.request is None or method == "post"):
            schema, key = _unwrapped(document, *body)
            resource.request = schema
            resource.key = resource.key or key
    answers = operation.get("responses")
    for code, response in answers.items() if isinstance(answers, dict) else ():
        if not str(code).startswith("2"):
            continue
        body = _json_schema(document, response, f"{at}/responses/{code}")
        if body is not None:
            schema, key = _unwrapped(document, *body)
            if method == "get" and whole:
                resource.list_key = resource.list_key or key
            if resource.answer is None or (method == "get" and not whole):
                resource.answer = schema  # one record tells more than a row of a list
        return


def _of_resource(resource: _Resource, reader: Reader) -> Entity:
    """Fields as answered; where a body can be sent, what it lacks is read-only and what it requires is required."""
    answered = reader.contract(*resource.answer) if resource.answer else None
    sent = reader.contract(*resource.request) if resource.request else None
    contract = answered or sent or {}
    if answered is not None and sent is not None:
        contract = _merged(answered, sent)
    return Entity(contract, resource.path, resource.key, resource.list_key, tuple(resource.endpoints[:12]), "")


def _merged(answered: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    theirs, ours = answered.get("properties"), sent.get("properties")
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        if isinstance(answered.get("items"), dict) and isinstance(sent.get("items"), dict):
            return {**answered, "items": _merged(answered["items"], sent["items"])}
        return {**answered, **sent}
    properties: dict[str, Any] = {}
    for name, node in theirs.items():
        if name not in ours:
            properties[name] = {**node, "x-access": "RO"}
        else:
            node = {key: value for key, value in node.items() if key != "x-access" or value == "RO"}
            properties[name] = _merged(node, ours[name])
    properties |= {
        name: {**node, "x-access": node.get("x-access", "W")} for name, node in ours.items() if name not in theirs
    }
    return {**answered, **{k: v for k, v in sent.items() if k == "x-access"}, "properties": properties}


def _json_schema(document: Document, holder: Any, at: str) -> tuple[Any, str] | None:
    """The JSON schema of a body, with its place; None without one."""
    holder = _followed(document, holder, at)
    content = holder.get("content") if isinstance(holder, dict) else None
    for kind, media in content.items() if isinstance(content, dict) else ():
        if "json" in str(kind) and isinstance(media, dict) and "schema" in media:
            return media["schema"], f"{at}/content/{str(kind).replace('/', '~1')}/schema"
    return None


def _unwrapped(document: Document, schema: Any, at: str) -> tuple[tuple[Any, str], str]:
    """The record inside a list, a page or a one-member wrapper; with the member's name."""
    whole = _followed(document, schema, at)
    if not isinstance(whole, dict):
        return (schema, at), ""
    if "items" in whole and "properties" not in whole:
        return (whole["items"], f"{at}/items"), ""
    members = whole.get("properties")
    if isinstance(members, dict):
        lists = [name for name, item in members.items() if _is_row_list(document, item, f"{at}/properties/{name}")]
        paging = {name.lower() for name in members} & _PAGING
        if len(lists) == 1 and (len(members) == 1 or paging):
            inner = _followed(document, members[lists[0]], at)
            return (inner["items"], f"{at}/properties/{lists[0]}/items"), lists[0]
        if len(members) == 1:
            (name,) = members
            inner = _followed(document, members[name], at)
            if isinstance(inner, dict) and "properties" in inner:
                return (members[name], f"{at}/properties/{name}"), name
    return (schema, at), ""


_PAGING: Final = {
    *("page", "pages", "total", "totalcount", "total_count", "totalpages", "total_pages", "next", "limit", "offset"),
    *("per_page", "perpage", "pagesize", "page_size", "cursor", "next_cursor", "has_more", "hasmore", "meta", "links"),
}


def _is_row_list(document: Document, schema: Any, at: str) -> bool:
    whole = _followed(document, schema, at)
    if not isinstance(whole, dict) or "items" not in whole:
        return False
    row = _followed(document, whole["items"], at)
    return isinstance(row, dict) and bool({"properties", "allOf", "oneOf", "anyOf"} & row.keys())


def _followed(document: Document, schema: Any, at: str) -> Any:
    """A schema behind a few references."""
    for _ in range(20):
        if not isinstance(schema, dict) or "$ref" not in schema:
            break
        schema = document.find(str(schema["$ref"]), at)
    else:
        document.fail(at, "refers to itself")
    return schema


def _is_object(schema: Any, document: Document, at: str) -> bool:
    whole = _followed(document, schema, at)
    return isinstance(whole, dict) and bool({"properties", "allOf", "oneOf", "anyOf"} & whole.keys())


def _schemas(document: Document, pointer: str) -> dict[str, tuple[Any, str]]:
    found: Any = document.root
    for part in pointer.strip("/").split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        return {}
    return {_name(name): (schema, f"{pointer}/{name}") for name, schema in found.items()}


def _checked(document: Document, described: Described, only: Sequence[str], known: Sequence[str]) -> Described:
    missing = [name for name in only if name not in described.entities]
    if missing or not described.entities:
        told = f"; known: {', '.join(list(known)[:20])}" if known else ""
        document.fail("", f"no entity {', '.join(missing) or 'is described here'}{told}")
    if len(described.entities) > MAX_ENTITIES:
        document.fail("", f"{len(described.entities)} entities; choose some with --entity")
    for name, entity in described.entities.items():
        if not entity.contract.get("properties"):
            described.notes.append(f"{name}: has no fields that are described")
    return described


def _inferred(fields: Sequence[FieldProfile], count: int) -> dict[str, Any]:
    """A contract from what samples hold: present in every one of enough records means required."""
    root: dict[str, Any] = {"type": "object", "properties": {}}
    for entry in fields:
        if not entry.addressable:
            continue
        node = root
        for part in entry.path.split("."):
            rows = len(part) - len(part.rstrip("[]"))
            name = part[: len(part) - rows] if rows else part
            members = node.setdefault("properties", {})
            node.setdefault("type", "object")
            node = members.setdefault(name, {})
            for _ in range(rows // 2):
                node["type"] = "array"
                node = node.setdefault("items", {})
        if "properties" not in node and "items" not in node:
            node |= _leaf(entry, count)
    return root


def _leaf(entry: FieldProfile, count: int) -> dict[str, Any]:
    kinds = {"decimal": "number", "text": "string", "bool": "boolean"}
    names = [kinds.get(kind, kind) for kind in entry.types]
    known = [kind for kind in names if kind in ("string", "integer", "number", "boolean", "null")] or ["string"]
    out: dict[str, Any] = {"type": known[0] if len(known) == 1 else sorted(set(known))}
    formats = {"date": "date", "instant": "date-time", "email": "email", "decimal": "decimal", "money": "decimal"}
    if entry.format in formats:
        out["format"] = formats[entry.format]
    if entry.present_share == 1 and count >= _ENOUGH:
        out["x-access"] = "R"
    else:
        out["x-note"] = f"in {entry.present_share:.0%} of {count} records"
    values = [value for value in entry.values if _CODE.fullmatch(value)]
    # Only where the name says that the values are words of the system, not a customer's.
    if entry.is_enum and len(values) == len(entry.values) and _OPEN_WORDS.search(entry.path):
        out["x-values"] = values
    return out


def _sample_kind(file: Path, root: Path) -> str:
    if "__" in file.stem:
        return _singular(_name(file.stem.partition("__")[0]))
    if file != root and file.parent != root:
        return _singular(_name(file.relative_to(root).parts[0]))
    named = _singular(_name(re.sub(r"[-_.]?\d+$", "", file.stem)))
    return named if named != "x" else _singular(_name(root.name))


def _name(text: str) -> str:
    """`SalesOrders` -> `sales_orders`; small letters, digits and underscores."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")[:60] or "x"


def _singular(word: str) -> str:
    for ending, one in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + one
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 2 else word
