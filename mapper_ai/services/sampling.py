"""Reads sample payloads from files: JSON, NDJSON and CSV, with the envelopes both systems wrap records in.

Numbers with a point become Decimal. Card data and secrets never get past this module.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

SUFFIXES = (".json", ".ndjson", ".jsonl", ".csv")
MAX_FILE_BYTES = 64 * 1024 * 1024


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Members that show that a list beside them is one page of records (clarity A7, CEF paging, common shop APIs).
_PAGE = _words(
    """page pages pagesize perpage totalcount totalpages count currentcount currentpage hasmore nextcursor next
    limit offset pagination paging"""
)
# Further members of such a page, which alone prove nothing: an order has a total and a status, too.
_BESIDE = _PAGE | _words("total previous prev object url meta metadata links sorts groupings success status")
_LISTS = ("data", "results", "records", "items", "value")
# Entity names that wrap one record or a list of them (freshbooks §3, clarity A6).
_ENTITIES = _words(
    """client clients invoice invoices payment payments item tax taxes credit_note credit_notes other_income
    other_incomes order orders customer customers product products refund refunds"""
)
# Member names, lower case without separators, whose values are secrets (clarity §2).
_SECRETS = _words(
    """cardnumber creditcardnumber cvv cvc cvv2 securitycode routingnumber paymentdata password passwordhash
    securitystamp overridepassword accesstoken refreshtoken clientsecret apikey apisecret webhooksecret token"""
)


class SampleError(ValueError):
    """A sample cannot be read; the message is one line and starts with file and line.

    Attributes:
        where: File name as given.
        line: 1-based, None where no line is to blame.
    """

    def __init__(self, message: str, *, where: str, line: int | None = None) -> None:
        super().__init__(f"{where}: {message}" if line is None else f"{where}:{line}: {message}")
        self.where = where
        self.line = line


def read_samples(path: str | Path) -> list[dict[str, Any]]:
    """Records of a file, or of all sample files below a folder in the order of their names.

    Raises:
        SampleError: The path does not exist, a file is malformed, or there is no record at all.
    """
    place = Path(path)
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise SampleError(f"no sample file; looked for {', '.join(SUFFIXES)}", where=str(path))
        return [record for file in files for record in _read_file(file)]
    if not place.is_file():
        raise SampleError("no such file or folder", where=str(path))
    return _read_file(place)


def _read_file(path: Path) -> list[dict[str, Any]]:
    where = str(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SampleError(f"larger than {MAX_FILE_BYTES // 2**20} MiB; split it or use NDJSON parts", where=where)
        raw = path.read_bytes()
    except OSError as error:
        raise SampleError(f"cannot be read: {error.strerror or error}", where=where) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SampleError("is not UTF-8", where=where, line=raw.count(b"\n", 0, error.start) + 1) from error
    return parse_samples(text, where=where, suffix=path.suffix.lower())


def parse_samples(text: str, *, where: str = "<pasted>", suffix: str = ".json") -> list[dict[str, Any]]:
    """Records of a text in one of the formats of `SUFFIXES`; NDJSON in a `.json` file is understood.

    Raises:
        SampleError: Malformed text, or no record in it.
    """
    if suffix == ".csv":
        records = _parse_csv(text, where)
    elif suffix in {".ndjson", ".jsonl"}:
        records = _parse_ndjson(text, where)
    else:
        records = _parse_json(text, where)
    if not records:
        raise SampleError("holds no record", where=where)
    return [without_secrets(record) for record in records]


def unwrap(value: Any, *, where: str = "<pasted>", line: int | None = None) -> list[dict[str, Any]]:
    """The records inside a decoded JSON value, whatever envelope they came in.

    Understood are: one record; a list of records or envelopes; a page ({"data": [...]} with paging beside it);
    FreshBooks' {"response": {"result": {...}}} for one and for many; a request body ({"invoice": {...}}); a webhook
    delivery with `data.resource`. A delivery without a resource has no record.

    Raises:
        SampleError: Something that is no object stands where a record is expected.
    """
    if isinstance(value, list):
        return [record for item in value for record in unwrap(item, where=where, line=line)]
    if not isinstance(value, dict):
        raise SampleError(f"expected an object or a list of objects, got {_kind(value)}", where=where, line=line)
    response = value.get("response")
    if isinstance(response, dict) and len(value) == 1:
        result = response.get("result", response)
        return _unwrap_result(result, where, line)
    data = value.get("data")
    if isinstance(data, dict) and {"type", "event", "topic"} & value.keys():
        resource = data.get("resource", data.get("object") if isinstance(data.get("object"), dict) else None)
        if isinstance(resource, dict):
            return [resource]
        if "resource" in data or {"object", "id"} <= data.keys():
            return []
    for key, content in value.items():
        wraps_list = isinstance(content, list) and key.lower() in (*_LISTS, *_ENTITIES)
        wraps_one = isinstance(content, dict) and (key == "data" or key.lower() in _ENTITIES)
        if (wraps_list or wraps_one) and _only_paging(value, key):
            return unwrap(content, where=where, line=line)
    return [value]


def _unwrap_result(result: Any, where: str, line: int | None) -> list[dict[str, Any]]:
    """FreshBooks' result: {"invoice": {...}} or {"invoices": [...], "page": 1, ...}."""
    if isinstance(result, dict):
        if "errors" in result:
            raise SampleError("is an error answer of FreshBooks, not a record", where=where, line=line)
        for key, content in result.items():
            if isinstance(content, list) and _only_paging(result, key):
                return unwrap(content, where=where, line=line)
        if len(result) == 1:
            (content,) = result.values()
            if isinstance(content, dict):
                return [content]
    return unwrap(result, where=where, line=line)


def _only_paging(value: Mapping[str, Any], key: str) -> bool:
    beside = {name.replace("_", "").lower() for name in value if name != key}
    return not beside or (beside <= _BESIDE and (bool(beside & _PAGE) or key == "data"))


def without_secrets(record: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the record without card data, passwords and keys, at any depth."""
    kept: dict[str, Any] = {}
    for name, value in record.items():
        if "".join(filter(str.isalnum, name)).casefold() not in _SECRETS:
            kept[name] = _clean(value)
    return kept


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return without_secrets(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def choose(records: Iterable[Mapping[str, Any]], limit: int) -> list[Mapping[str, Any]]:
    """At most `limit` records, always the same ones whatever their order: those whose id has the smallest hash.

    A record without `id` is known by its content. The records come back in the order of their hashes.

    Raises:
        ValueError: `limit` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    return sorted(records, key=_hash)[:limit]


def _hash(record: Mapping[str, Any]) -> bytes:
    known = record.get("id", record.get("ID", record.get("Id")))
    content = json.dumps(record, sort_keys=True, default=str, ensure_ascii=False)
    name = content if known is None else str(known)
    # Two versions of one record share the id; the content keeps their order fixed.
    return b"".join(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in (name, content)
    )


def _decode(text: str, where: str, first_line: int = 1) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise SampleError(f"{constant} is no JSON value", where=where, line=first_line if first_line > 1 else None)

    try:
        return json.loads(text, parse_float=Decimal, parse_constant=refuse)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise SampleError(f"is not JSON: {error.msg} (column {error.colno})", where=where, line=line) from error
    except ValueError as error:
        if isinstance(error, SampleError):
            raise
        # Integers of thousands of digits.
        raise SampleError(f"is not readable: {error}", where=where, line=first_line) from error
    except RecursionError as error:
        raise SampleError("is nested too deeply", where=where, line=first_line) from error


def _parse_json(text: str, where: str) -> list[dict[str, Any]]:
    if not text.strip():
        raise SampleError("is empty", where=where)
    try:
        value = _decode(text, where)
    except SampleError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and error.line and all(line.lstrip().startswith("{") for line in lines):
            return _parse_ndjson(text, where)
        raise
    return unwrap(value, where=where)


def _parse_ndjson(text: str, where: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    # Only line feeds end a record; a line separator (U+2028) may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            records.extend(unwrap(_decode(line, where, number), where=where, line=number))
    return records


def _parse_csv(text: str, where: str) -> list[dict[str, Any]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=lambda sign: (first.count(sign), sign == ","))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[dict[str, Any]] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, where)
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) > len(header):
                message = f"{len(row)} cells, but the header names {len(header)} columns"
                raise SampleError(message, where=where, line=reader.line_num)
            record: dict[str, Any] = {}
            for name, cell in zip(header, row, strict=False):
                _put(record, name.split("."), cell)
            records.append(record)
    except csv.Error as error:
        raise SampleError(f"is not CSV: {error}", where=where, line=reader.line_num) from error
    return records


def _check_header(header: Sequence[str], where: str) -> None:
    if not header or not all(header):
        raise SampleError("the first line must name every column", where=where, line=1)
    for position, name in enumerate(header):
        if name in header[:position]:
            raise SampleError(f"column '{name}' stands twice", where=where, line=1)
        if any(other.startswith(f"{name}.") for other in header):
            raise SampleError(f"column '{name}' is a value and a group ('{name}.…')", where=where, line=1)


def _put(record: dict[str, Any], names: list[str], value: str) -> None:
    """`customer.email` becomes a member of an object `customer`."""
    for name in names[:-1]:
        record = record.setdefault(name, {})
    record[names[-1]] = value


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true/false"
    return "text" if isinstance(value, str) else "a number"
