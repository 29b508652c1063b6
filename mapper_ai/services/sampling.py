"""Reads sample payloads from files: JSON, NDJSON and CSV, also gzipped, with the envelopes systems wrap records in.

Numbers with a point become Decimal. Card data and secrets never get past this module.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from heapq import nsmallest
from pathlib import Path
from typing import Any, NoReturn

SUFFIXES = (".json", ".ndjson", ".jsonl", ".csv")
LINE_SUFFIXES = (".ndjson", ".jsonl")
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
_SAID = _words("notice message success status warnings")
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
    return list(iter_samples(path))


def iter_samples(path: str | Path) -> Iterator[dict[str, Any]]:
    """As read_samples, record by record; NDJSON is read line by line and may be of any size.

    Raises:
        SampleError: As read_samples, when the place of the error is reached.
    """
    for file in sample_files(path):
        yield from _read_file(file)


def sample_files(path: str | Path) -> list[Path]:
    """The sample files that a path stands for.

    Raises:
        SampleError: There is none.
    """
    place = Path(path)
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if suffix_of(file) in SUFFIXES and file.is_file())
        if not files:
            raise SampleError(f"no sample file; looked for {', '.join(SUFFIXES)}, also with .gz", where=str(path))
        return files
    if not place.is_file():
        raise SampleError("no such file or folder", where=str(path))
    return [place]


def suffix_of(path: Path) -> str:
    """What a file's name says about its format; `.gz` is looked through."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _read_file(path: Path) -> Iterator[dict[str, Any]]:
    where = str(path)
    suffix = suffix_of(path)
    try:
        if suffix in LINE_SUFFIXES:
            yield from _stream_ndjson(path)
            return
        with _opened(path) as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(error, where) from error
    if len(raw) > MAX_FILE_BYTES:
        raise SampleError(f"larger than {MAX_FILE_BYTES // 2**20} MiB; write one record a line (.ndjson)", where=where)
    yield from parse_samples(_decoded(raw, where), where=where, suffix=suffix)


def _opened(path: Path) -> io.BufferedIOBase:
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


def _unreadable(error: Exception, where: str) -> SampleError:
    if isinstance(error, gzip.BadGzipFile | EOFError | zlib.error):
        return SampleError("is no complete gzip file", where=where)
    return SampleError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=where)


def _decoded(raw: bytes, where: str, line: int = 1) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SampleError("is not UTF-8", where=where, line=line + raw.count(b"\n", 0, error.start)) from error


def _stream_ndjson(path: Path) -> Iterator[dict[str, Any]]:
    where = str(path)
    found = False
    with _opened(path) as file:
        number = 0
        # Only line feeds end a record; a line separator (U+2028) may stand inside a JSON string.
        while raw := file.readline(MAX_FILE_BYTES + 1):
            number += 1
            if len(raw) > MAX_FILE_BYTES:
                raise SampleError(f"is longer than {MAX_FILE_BYTES // 2**20} MiB", where=where, line=number)
            line = _decoded(raw, where, number).rstrip("\r\n")
            if line.strip():
                for record in _unwrapped(_decode(line, where, number), where, number):
                    found = True
                    yield _cleaned(record, where, number)
    if not found:
        raise SampleError("holds no record", where=where)


def parse_samples(text: str, *, where: str = "<pasted>", suffix: str = ".json") -> list[dict[str, Any]]:
    """Records of a text in one of the formats of `SUFFIXES`; NDJSON in a `.json` file is understood.

    Raises:
        SampleError: Malformed text, or no record in it.
    """
    if suffix == ".csv":
        records = _parse_csv(text, where)
    elif suffix in LINE_SUFFIXES:
        records = _parse_ndjson(text, where)
    else:
        records = _parse_json(text, where)
    if not records:
        raise SampleError("holds no record", where=where)
    return [_cleaned(record, where) for record in records]


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
    if beside and beside <= _SAID and isinstance(value[key], dict) and "id" in value[key]:
        return True  # an answer with a word about it: {"notice": "Order has been cancelled", "order": {...}}
    return not beside or (beside <= _BESIDE and (bool(beside & _PAGE) or key == "data"))


def without_secrets(record: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of the record without card data, passwords and keys, at any depth."""
    kept: dict[str, Any] = {}
    for name, value in record.items():
        if not is_secret_name(name):
            kept[name] = _clean(value)
    return kept


def _unwrapped(value: Any, where: str, line: int | None = None) -> list[dict[str, Any]]:
    try:
        return unwrap(value, where=where, line=line)
    except RecursionError:
        raise SampleError("is nested too deeply", where=where, line=line) from None


def _cleaned(record: Mapping[str, Any], where: str, line: int | None = None) -> dict[str, Any]:
    try:
        return without_secrets(record)
    except RecursionError:
        raise SampleError("is nested too deeply", where=where, line=line) from None


def is_secret_name(name: str) -> bool:
    """Whether a member of that name is never read."""
    return "".join(filter(str.isalnum, name)).casefold() in _SECRETS


def may_be_wrapped(names: Sequence[str]) -> bool:
    """Whether an object with members of these names may be an envelope around records, for `unwrap`."""
    known = dict.fromkeys(names)
    if len(known) < len(names) or known.keys() == {"response"}:
        return True
    if "data" in known and {"type", "event", "topic"} & known.keys():
        return True
    return any((key.lower() in (*_LISTS, *_ENTITIES)) and _only_paging(known, key) for key in known)


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
    return nsmallest(limit, records, key=_hash)


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
    return _unwrapped(value, where)


def _parse_ndjson(text: str, where: str) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    # Only line feeds end a record; a line separator (U+2028) may stand inside a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            records.extend(_unwrapped(_decode(line, where, number), where, number))
    return records


def _parse_csv(text: str, where: str) -> list[dict[str, Any]]:
    delimiter = _delimiter(text.split("\n", 1)[0])
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


def csv_header(first_line: str, where: str) -> tuple[list[str], str]:
    """The column names and the delimiter of a CSV file.

    Raises:
        SampleError: A column has no name, or two have the same.
    """
    delimiter = _delimiter(first_line)
    header = [name.strip() for name in next(csv.reader([first_line], delimiter=delimiter, strict=True), [])]
    _check_header(header, where)
    return header, delimiter


def _delimiter(first_line: str) -> str:
    return max(",;\t", key=lambda sign: (first_line.count(sign), sign == ","))


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
