"""Profiles files that are too big to be walked in Python: DuckDB counts the values, the core sums them up.

The result is the same as that of reading the records. Where a file is not plain records (envelopes, pages, broken
lines, the same member twice), nothing is given, and the slower way says what is the matter, with the line.
"""

# ruff: noqa: S608  only file names, quoted, and columns named here are put into statements
from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from mapper_ai.core.profile import (
    MAX_DEPTH,
    MAX_FIELDS,
    FieldProfile,
    Place,
    Profile,
    Tally,
    json_text,
    sum_up,
    with_times,
)
from mapper_ai.services.sampling import LINE_SUFFIXES, csv_header, is_secret_name, may_be_wrapped, suffix_of

# Below this walking the records is quick enough.
BIG_BYTES: Final = 8 * 1024 * 1024
# What a gzipped sample file is at least when unpacked, as a multiple.
_GZIP_RATIO: Final = 5
_MAX_RECORD_BYTES: Final = 64 * 1024 * 1024
_STEP: Final = re.compile(r'\.(?:([A-Za-z0-9_]+)|"((?:[^"\\]|\\.)*)")|\[\d*\]', re.DOTALL)
_NO_NULL: Final = "\x01none\x01"


class _NotPlain(Exception):  # noqa: N818  no error: the other way is taken
    """The file is no list of plain records."""


def is_big(files: Sequence[Path]) -> bool:
    """Whether DuckDB should count the files."""
    sizes = (file.stat().st_size * (_GZIP_RATIO if file.suffix.lower() == ".gz" else 1) for file in files)
    return sum(sizes) >= BIG_BYTES


def profile_files(files: Sequence[Path]) -> Profile | None:
    """The profile of all records in the files; None where they are not plain records of one format."""
    kinds = {suffix_of(file) for file in files}
    try:
        with _database() as connection:
            if kinds == {".csv"} and len(files) == 1:
                return _profile_csv(connection, files[0])
            if kinds <= set(LINE_SUFFIXES) or kinds == {".json"}:
                return _profile_json(connection, files, lines=kinds != {".json"})
    except (duckdb.Error, _NotPlain, OSError, EOFError, ValueError):
        return None
    return None


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    # What does not fit into memory is spilled there, and is gone with the connection.
    with tempfile.TemporaryDirectory(prefix="mapper-profile-") as spill, duckdb.connect() as connection:
        connection.execute("SET temp_directory = ?", [spill])
        connection.execute("SET memory_limit = '1GB'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        yield connection


class _Values(Mapping[Place, Counter[tuple[str, str]]]):
    """The counted values of each leaf, read when asked for, so that one leaf at a time is in memory."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, keys: Mapping[Place, Sequence[str]]) -> None:
        self._connection = connection
        self._keys = keys

    def __getitem__(self, place: Place) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        rows = self._connection.execute(
            "SELECT type, value, sum(times)::BIGINT FROM counted"
            " WHERE key IN (SELECT unnest(?)) AND type NOT IN ('OBJECT', 'ARRAY') GROUP BY ALL",
            [list(self._keys[place])],
        )
        while batch := rows.fetchmany(50_000):
            for kind, text, times in batch:
                found[_seen(kind, text)] += times
        return found

    def __iter__(self) -> Iterator[Place]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _seen(kind: str, text: str | None) -> tuple[str, str]:
    """(JSON type, text) as the core writes them."""
    if kind == "NULL" or text is None:
        return "null", ""
    if kind == "BOOLEAN":
        return "bool", text
    if kind == "VARCHAR":
        return "text", text.strip()
    if text.lstrip("-").isdigit():
        return "integer", json_text(int(text))
    number = Decimal(text)
    if not number.is_finite():
        raise _NotPlain
    return "decimal", json_text(number)


def _profile_json(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], *, lines: bool) -> Profile:
    names = [str(file) for file in files]
    connection.execute(
        "CREATE TEMP VIEW documents AS SELECT json AS document FROM read_json_objects("
        f"[{', '.join(map(_quoted, names))}], format = '{'newline_delimited' if lines else 'array'}', "
        f"maximum_object_size = {_MAX_RECORD_BYTES})"
    )
    _refuse_wrapped(connection)
    # Positions in arrays are left out; a name in quotes may hold brackets of its own and is looked at in Python.
    connection.execute(
        r"""CREATE TEMP TABLE counted AS
        SELECT CASE WHEN contains(node.fullkey, '"') THEN node.fullkey
                    ELSE regexp_replace(node.fullkey, '\[\d+\]', '[]', 'g') END AS key,
               node.type AS type,
               CASE WHEN node.type IN ('OBJECT', 'ARRAY') THEN NULL ELSE node.value ->> '$' END AS value,
               CASE WHEN node.type = 'ARRAY' THEN json_array_length(node.value) END AS items,
               count(*) AS times
        FROM documents, json_tree(documents.document) AS node GROUP BY ALL"""
    )
    tally = Tally()
    leaves: dict[Place, list[str]] = {}
    members: Counter[Place] = Counter()
    rows = connection.execute("SELECT key, type, items, sum(times)::BIGINT FROM counted GROUP BY ALL").fetchall()
    for key, kind, items, times in rows:
        place = _place(key)
        if any(is_secret_name(name) for name, _ in place):
            continue
        if place and not place[-1][1]:
            members[place] += times
        if kind == "OBJECT":
            tally.parents[place] += times
        elif kind == "ARRAY":
            name, already = place[-1]
            tally.lengths[(*place[:-1], (f"{name}[]" if already else name, True))][items] += times
        else:
            known = leaves.setdefault(place, [])
            if key not in known:
                known.append(key)
    tally.records = tally.parents[()]
    if any(times > tally.parents[place[:-1]] for place, times in members.items()):
        raise _NotPlain  # the same member twice
    if len(leaves) > MAX_FIELDS or not tally.records:
        raise _NotPlain
    tally.values = _Values(connection, leaves)
    profile = sum_up(tally)
    return with_times(profile, lambda fields: _rows_of(connection, fields))


def _refuse_wrapped(connection: duckdb.DuckDBPyConnection) -> None:
    if connection.execute("SELECT count(*) FROM documents WHERE json_type(document) <> 'OBJECT'").fetchall()[0][0]:
        raise _NotPlain
    shapes = connection.execute("SELECT DISTINCT json_keys(document) FROM documents").fetchall()
    if any(may_be_wrapped(names) for (names,) in shapes):
        raise _NotPlain


def _place(key: str) -> Place:
    """(name, is_array) pairs of a key such as `$.lines[]."unit.price"`."""
    place: list[tuple[str, bool]] = []
    position = 1
    while position < len(key):
        step = _STEP.match(key, position)
        if step is None:
            raise _NotPlain
        position = step.end()
        if step[1] is not None or step[2] is not None:
            name = step[1] if step[1] is not None else re.sub(r"\\(.)", r"\1", step[2], flags=re.DOTALL)
            place.append((name, False))
        elif not place:
            raise _NotPlain
        else:
            name, already = place[-1]
            place[-1] = (f"{name}[]" if already else name, True)
        if len(place) > MAX_DEPTH:
            raise _NotPlain
    return tuple(place)


def _rows_of(connection: duckdb.DuckDBPyConnection, fields: Sequence[FieldProfile]) -> Iterable[list[Any]]:
    pointers = [
        "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name, _ in entry.segments) for entry in fields
    ]
    columns = ", ".join("json_extract(document, ?)" for _ in pointers)
    rows = connection.execute(f"SELECT {columns} FROM documents", pointers)
    while batch := rows.fetchmany(20_000):
        for row in batch:
            yield [None if text is None else json.loads(text) for text in row]


def _profile_csv(connection: duckdb.DuckDBPyConnection, file: Path) -> Profile:
    header, delimiter = csv_header(_first_line(file), str(file))
    columns = ", ".join(f"'c{number}': 'VARCHAR'" for number in range(len(header)))
    connection.execute(
        f"CREATE TEMP TABLE rows AS SELECT * FROM read_csv({_quoted(str(file))}, all_varchar = true, header = true, "
        f"delim = {_quoted(delimiter)}, quote = '\"', escape = '\"', nullstr = {_quoted(_NO_NULL)}, "
        f"auto_detect = false, strict_mode = true, columns = {{{columns}}})"
    )
    filled = " OR ".join(f"trim(c{n}) <> ''" for n in range(len(header)))
    connection.execute(f"DELETE FROM rows WHERE NOT ({filled})")
    connection.execute("CREATE TEMP TABLE counted (key VARCHAR, type VARCHAR, value VARCHAR, times BIGINT)")
    tally = Tally()
    tally.records = connection.execute("SELECT count(*) FROM rows").fetchall()[0][0]
    places: dict[Place, list[str]] = {}
    for number, name in enumerate(header):
        place = tuple((part, False) for part in name.split("."))
        if any(is_secret_name(part) for part, _ in place):
            continue
        places[place] = [f"c{number}"]
        for end in range(len(place)):
            tally.parents[place[:end]] = tally.records
        connection.execute(
            f"INSERT INTO counted SELECT 'c{number}', 'VARCHAR', c{number}, count(*) FROM rows GROUP BY ALL"
        )
    if not tally.records:
        raise _NotPlain
    tally.values = _Values(connection, places)

    def rows_of(fields: Sequence[FieldProfile]) -> Iterable[Sequence[Any]]:
        chosen = ", ".join(places[entry.segments][0] for entry in fields)
        found = connection.execute(f"SELECT {chosen} FROM rows")
        while batch := found.fetchmany(20_000):
            yield from batch

    return with_times(sum_up(tally), rows_of)


def _first_line(file: Path) -> str:
    opened: Any = gzip.open if file.suffix.lower() == ".gz" else open
    with opened(file, "rb") as stream:
        return str(stream.readline(1 << 20), "utf-8-sig")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
