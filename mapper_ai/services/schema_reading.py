"""Reads a JSON Schema (draft-07, 2020-12, OpenAPI 3.0 and 3.1) into the contract of a profile, within fixed bounds.

Scalars count as text, as everywhere in profiles: `NO` stays a country. References are followed inside the file only;
a schema that contains itself becomes an open object where it begins again, and so does what lies too deep.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from mapper_ai.errors import InputError

MAX_FILE_BYTES: Final = 20 * 1024 * 1024
MAX_DEPTH: Final = 12
MAX_FIELDS: Final = 5000
_MAX_NESTING: Final = 400
_MAX_REFS: Final = 40
_MAX_NOTE: Final = 160
_MAX_STEPS: Final = 50_000
_TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_SCALARS: Final = ("string", "integer", "number", "boolean")


class Document:
    """One parsed file: finds references and names places."""

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            InputError: Not readable, not JSON or YAML, or nested beyond reason.
        """
        self.where = str(path)
        self.root: Any = _load(path)
        if not isinstance(self.root, dict):
            self.fail("", "expected an object")
        self.notes: list[str] = []

    def fail(self, pointer: str, message: str) -> NoReturn:
        """One line with the file and the place in it."""
        raise InputError(f"{self.where}: #{pointer}: {message}")

    def find(self, reference: str, at: str) -> Any:
        """What `#/components/schemas/Order` or `#anchor` stands for.

        Raises:
            InputError: A reference out of the file, or to nothing.
        """
        if not reference.startswith("#"):
            self.fail(at, f"refers to {reference[:120]!r}; only references inside the file (#/…) are followed")
        if reference.startswith("#/"):
            found = self.root
            for part in reference[2:].split("/"):
                name = part.replace("~1", "/").replace("~0", "~")
                if isinstance(found, list) and name.isdigit() and int(name) < len(found):
                    found = found[int(name)]
                elif isinstance(found, dict) and name in found:
                    found = found[name]
                else:
                    self.fail(at, f"refers to {reference[:120]!r}, which is not in the file")
            return found
        if reference == "#":
            return self.root
        named = (s for s in self._definitions() if isinstance(s, dict) and s.get("$anchor") == reference[1:])
        schema = next(named, None)
        if schema is None:
            self.fail(at, f"refers to {reference[:120]!r}, which is not in the file")
        return schema

    def _definitions(self) -> Iterator[Any]:
        for key in ("$defs", "definitions"):
            if isinstance(self.root.get(key), dict):
                yield from self.root[key].values()


class Reader:
    """Turns one schema into a contract."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._fields = self._steps = 0

    def contract(self, schema: Any, pointer: str) -> dict[str, Any]:
        """The contract of an entity.

        Raises:
            InputError: The schema cannot be used; the message names file and place.
        """
        self._fields = self._steps = 0
        try:
            return self._node(schema, pointer, (), 0)
        except RecursionError:
            self._document.fail(pointer, "is nested too deeply")

    def _node(self, schema: Any, at: str, seen: tuple[str, ...], depth: int) -> dict[str, Any]:
        flat, seen = self._flat(schema, at, seen)
        if flat is None:
            return {"type": "object", "x-note": "contains itself; left open"}
        self._fields += 1
        if self._fields > MAX_FIELDS:
            self._document.fail(
                at, f"more than {MAX_FIELDS} fields below one entity; choose smaller ones with --entity"
            )
        kinds = self._kinds(flat, at)
        out: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else list(kinds)}
        if depth >= MAX_DEPTH and ("properties" in flat or "array" in kinds):
            return {"type": "object", "x-note": f"deeper than {MAX_DEPTH} levels; left open"}
        if isinstance(flat.get("properties"), dict) and "object" in kinds:
            out["properties"] = self._properties(flat, at, seen, depth)
        elif "array" in kinds and (rows := self._items(flat)) is not None:
            out["items"] = self._node(rows, f"{at}/items", seen, depth + 1)
        _copy_keywords(flat, out)
        return out

    def _properties(self, flat: Mapping[str, Any], at: str, seen: tuple[str, ...], depth: int) -> dict[str, Any]:
        required = flat.get("required")
        needed = set(required) if isinstance(required, list) else set()
        found = {}
        for name, schema in flat["properties"].items():
            if schema in (False, "false") or not name or any(sign in name for sign in ".[]"):
                if schema not in (False, "false"):
                    self._document.notes.append(
                        f"{at}/properties/{name[:60]}: a name with a dot or bracket is left out"
                    )
                continue
            node = self._node(schema, f"{at}/properties/{_escaped(name)}", seen, depth + 1)
            if node.get("x-access") != "RO" and name in needed:
                node["x-access"] = "R"
            found[name] = node
        return found

    def _items(self, flat: Mapping[str, Any]) -> Any:
        rows = flat.get("items", flat.get("prefixItems"))
        if isinstance(rows, list):  # a tuple: what any place may hold
            return {"anyOf": rows} if rows else None
        return rows

    def _flat(self, schema: Any, at: str, seen: tuple[str, ...]) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
        """References followed and combinations merged; None where the schema contains itself."""
        self._steps += 1
        if self._steps > _MAX_STEPS:
            self._document.fail(at, "combines more schemas than can be followed; choose smaller ones with --entity")
        if schema in (True, "true"):
            return {}, seen
        if not isinstance(schema, dict):
            self._document.fail(at, "expected a schema (an object)")
        merged = {key: item for key, item in schema.items() if key not in ("$ref", "allOf", "oneOf", "anyOf")}
        if "$ref" in schema:
            reference = str(schema["$ref"])
            if reference in seen:
                return None, seen
            if len(seen) > _MAX_REFS:
                self._document.fail(at, f"more than {_MAX_REFS} references in a row")
            seen = (*seen, reference)
            target, seen = self._flat(self._document.find(reference, at), reference.lstrip("#"), seen)
            if target is None:
                return None, seen
            merged = _joined(target, merged)
        for position, part in enumerate(_parts(schema, "allOf")):
            inner, _ = self._flat(part, f"{at}/allOf/{position}", seen)
            merged = _joined(merged, inner or {})
        for word in ("oneOf", "anyOf"):
            branches = []
            for position, part in enumerate(_parts(schema, word)):
                inner, _ = self._flat(part, f"{at}/{word}/{position}", seen)
                branches.append({"type": "object"} if inner is None else inner)
            if branches:
                merged = _joined(merged, self._either(branches, at))
        return merged, seen

    def _either(self, branches: Sequence[dict[str, Any]], at: str) -> dict[str, Any]:
        """One of several: every member any of them has, required where all of them require it."""
        kinds = list(dict.fromkeys(kind for branch in branches for kind in self._kinds(branch, at)))
        real = [branch for branch in branches if self._kinds(branch, at) != ("null",)]
        if not real:
            return {"type": "null"}
        if len(real) == 1:
            return {**real[0], "type": kinds}
        out: dict[str, Any] = {"type": kinds}
        objects = [branch for branch in real if isinstance(branch.get("properties"), dict)]
        if objects:
            out["properties"] = {name: item for branch in objects for name, item in branch["properties"].items()}
            lists = [set(b["required"]) if isinstance(b.get("required"), list) else set() for b in objects]
            out["required"] = sorted(set.intersection(*lists)) if len(objects) == len(real) else []
        words = [branch.get("enum") or ([branch["const"]] if "const" in branch else None) for branch in real]
        if all(isinstance(word, list) for word in words):
            out["enum"] = list(dict.fromkeys(str(item) for word in words for item in word or ()))
        return out

    def _kinds(self, flat: Mapping[str, Any], at: str) -> tuple[str, ...]:
        said = flat.get("type")
        kinds = [said] if isinstance(said, str) else list(said) if isinstance(said, list) else []
        for kind in kinds:
            if kind not in _TYPES:
                self._document.fail(f"{at}/type", f"expected one of {', '.join(_TYPES)}, got {str(kind)[:60]!r}")
        if not kinds:
            if "properties" in flat:
                kinds = ["object"]
            elif "items" in flat:
                kinds = ["array"]
            else:
                kinds = ["string"] if "enum" in flat or "const" in flat or "format" in flat else ["object"]
        if flat.get("nullable") in (True, "true") and "null" not in kinds:
            kinds.append("null")
        return tuple(kinds)


def _copy_keywords(flat: Mapping[str, Any], out: dict[str, Any]) -> None:
    if flat.get("readOnly") in (True, "true"):
        out["x-access"] = "RO"
    elif flat.get("writeOnly") in (True, "true"):
        out["x-access"] = "W"
    kinds = [out["type"]] if isinstance(out["type"], str) else out["type"]
    if isinstance(flat.get("format"), str) and any(kind in _SCALARS for kind in kinds):
        out["format"] = flat["format"][:40]
    words = flat.get("enum", [flat["const"]] if "const" in flat else None)
    if isinstance(words, list) and "properties" not in out:
        told = [str(word)[:100] for word in words[:100] if word is not None and not isinstance(word, dict | list)]
        whole = all(re.fullmatch(r"-?\d{1,15}", word) for word in told)
        out["enum" if "integer" not in kinds or whole else "x-values"] = told
    for name in ("maxLength", "minLength"):
        if re.fullmatch(r"\d{1,9}", str(flat.get(name, ""))):
            out[name] = int(str(flat[name]))
    note = flat.get("description") or flat.get("title")
    if isinstance(note, str) and note.strip():
        line = " ".join(note.split())
        out["x-note"] = line if len(line) <= _MAX_NOTE else line[: _MAX_NOTE - 1] + "…"


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both hold: members of both, required where either requires it; what the second says of the rest."""
    out = {**first, **second}
    if isinstance(first.get("properties"), dict) and isinstance(second.get("properties"), dict):
        out["properties"] = {**first["properties"], **second["properties"]}
    lists = [part["required"] for part in (first, second) if isinstance(part.get("required"), list)]
    if lists:
        out["required"] = list(dict.fromkeys(name for names in lists for name in names if isinstance(name, str)))
    return out


def _parts(schema: Mapping[str, Any], word: str) -> list[Any]:
    found = schema.get(word)
    return found[:100] if isinstance(found, list) else []


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _load(path: Path) -> Any:
    where = str(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"{where}: larger than {MAX_FILE_BYTES // 2**20} MiB")
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{where}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: is not UTF-8 (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror or type(error).__name__})") from None
    if not text.strip():
        raise InputError(f"{where}: is empty")
    try:
        if text.lstrip()[0] in "{[":
            return json.loads(text, parse_float=str, parse_int=str)
        _refuse_nesting(text, where)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506  the base loader makes text, lists and mappings only
    except json.JSONDecodeError as error:
        raise InputError(f"{where}:{error.lineno}: is not JSON: {error.msg} (column {error.colno})") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{where}{line}: is not YAML: {error.problem or 'unreadable'}") from None
    except yaml.YAMLError:
        raise InputError(f"{where}: is not YAML") from None
    except RecursionError:
        raise InputError(f"{where}: is nested too deeply") from None


def _refuse_nesting(text: str, where: str) -> None:
    """The YAML library follows nesting by recursion in C: what is beyond reason must not reach it."""
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        dashes = re.match(r"(?:\s|[-?:](?=\s))*", line)
        depth = max(0, depth + line.count("[") + line.count("{") - line.count("]") - line.count("}"))
        steps = sum(sign in "-?:" for sign in dashes[0]) if dashes else 0
        deepest = max(depth, line.count("["), line.count("{"), steps, (len(dashes[0]) if dashes else 0) // 2)
        if deepest > _MAX_NESTING:
            raise InputError(f"{where}:{number}: is nested too deeply")
