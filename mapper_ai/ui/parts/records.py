"""Reads records out of what people have: JSON, NDJSON, webhook envelopes, a folder of such files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.http import loads
from mapper_ai.errors import InputError
from mapper_ai.services.sampling import choose
from mapper_ai.services.workspace import Sample

MAX_SAMPLES = 200
_SUFFIXES = (".json", ".ndjson", ".jsonl")
# The list a Clarity page or an export keeps its rows under.
_ROW_KEYS = ("data", "records", "items", "orders", "customers", "payments", "products")


def entity_of(flow: str) -> str:
    """The source entity of a flow by its name: order of order-to-invoice."""
    return flow.partition("-to-")[0]


def read_text(name: str, text: str | bytes, *, per_event: int | None = None) -> list[Sample]:
    """Records of one file, named after the file and, where there are several, their id or position.

    Args:
        name: File name, for sample names and messages.
        text: A JSON object, an array of objects, a page with its rows, or one JSON object a line; an object may be
            a webhook envelope around the record.
        per_event: Of each kind of webhook event at most so many, the same ones at each upload, so that a rare kind is
            not lost among thousands of a common one; None takes them as they come. Without envelopes all are one kind.

    Raises:
        InputError: Not JSON, or no objects in it; with the line for NDJSON.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InputError(f"{name}: expected UTF-8 text") from None
    try:
        found = loads(text)
    except ValueError:
        found = _lines(name, text)
    rows = _rows(found)
    if not rows:
        raise InputError(f"{name}: expected a JSON object or a list of objects")
    if per_event is not None:
        rows = _of_each_event(rows, per_event)
    stem = Path(name).stem
    records = [_unwrapped(row) for row in rows[:MAX_SAMPLES]]
    if len(records) == 1:
        return [Sample(stem, records[0])]
    return [Sample(f"{stem} {record.get('id', number)}", record) for number, record in enumerate(records, 1)]


def read_folder(folder: Path, entity: str) -> list[Sample]:
    """Records of an entity in a folder: `order__plain.json`, `order.json`, `orders.json` and their NDJSON kin.

    Raises:
        InputError: A file cannot be read as records.
    """
    found: list[Sample] = []
    for file in sorted(folder.iterdir()):
        kind = file.stem.partition("__")[0].lower()
        if file.suffix.lower() in _SUFFIXES and kind in (entity, f"{entity}s"):
            try:
                raw = file.read_bytes()
            except OSError as error:
                raise InputError(f"{file.name}: cannot be read ({type(error).__name__})") from None
            found += read_text(file.name, raw)
    return [Sample(sample.name.removeprefix(f"{entity}__"), sample.record) for sample in found[:MAX_SAMPLES]]


def _lines(name: str, text: str) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append(loads(line))
        except ValueError:
            raise InputError(f"{name}:{number}: not JSON") from None
    return found


def _rows(found: Any) -> list[dict[str, Any]]:
    if isinstance(found, list):
        return [row for row in found if isinstance(row, dict)]
    if not isinstance(found, dict):
        return []
    for key in _ROW_KEYS:
        inner = found.get(key)
        # A record may well have a member "items" or "payments"; a page has no id.
        if isinstance(inner, list) and "id" not in found:
            return [row for row in inner if isinstance(row, dict)]
    return [found]


def _of_each_event(rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """At most so many of each kind, in the order of the file."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(str(row.get("type", "")) if "data" in row else "", []).append(row)
    chosen = {id(row) for found in kinds.values() for row in choose(found, most)}
    return [row for row in rows if id(row) in chosen]


def _unwrapped(row: dict[str, Any]) -> dict[str, Any]:
    data = row.get("data")
    if isinstance(data, Mapping) and "type" in row:
        inner = data.get("resource")
        return dict(inner) if isinstance(inner, Mapping) else dict(data)
    return row
