"""What people decided about mappings, kept in one DuckDB file and given back to the suggester.

DuckDB lets one process write at a time, so the file is open for the length of one statement only; processes of this
program wait for each other at a lock file, and for a stranger (a database browser) a few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import duckdb

from mapper_ai.core.remembered import PastDecision, PastDecisions
from mapper_ai.errors import InputError
from mapper_ai.services.atomic import locked
from mapper_ai.services.sources import part_sources
from mapper_ai.services.targets import Recall
from mapspec import MappingSpec
from mapspec.fingerprint import FLOW

Action = Literal["accept", "reject", "edit"]
FILE: Final = "decisions.duckdb"
_TRIES: Final = 25
_PAUSE_S: Final = 0.2
_COLUMNS: Final = "number, moment, person, action, flow, part, source_ref, sources, target_ref, target, reason"
_SCHEMA: Final = """
CREATE SEQUENCE IF NOT EXISTS numbers;
CREATE TABLE IF NOT EXISTS decision (
    number BIGINT PRIMARY KEY DEFAULT nextval('numbers'),
    moment TIMESTAMP NOT NULL, person VARCHAR NOT NULL, action VARCHAR NOT NULL,
    flow VARCHAR NOT NULL, part VARCHAR NOT NULL,
    source_ref VARCHAR NOT NULL, sources VARCHAR[] NOT NULL, target_ref VARCHAR NOT NULL, target VARCHAR NOT NULL,
    reason VARCHAR NOT NULL)
"""


@dataclass(frozen=True)
class DecisionRow:
    """One decision.

    Attributes:
        number: Counts up; 0 before it is stored.
        at: UTC.
        flow: The spec's id.
        part: As in the spec: `invoice.lines[].qty`.
        source_ref: System and entity of the source.
        sources: Paths from the record's root.
        target_ref: System and entity of the target.
        target: Path below the target.
    """

    at: datetime
    person: str
    action: Action
    flow: str
    part: str
    source_ref: str
    sources: tuple[str, ...]
    target_ref: str
    target: str
    reason: str = ""
    number: int = 0


def found_in(rows: Sequence[DecisionRow], wanted: str) -> list[DecisionRow]:
    """Decisions in which every word stands somewhere: person, flow, part, fields, reason; all without words."""
    words = wanted.casefold().split()

    def text(row: DecisionRow) -> str:
        parts = (row.person, row.action, row.flow, row.part, *row.sources, row.target_ref, row.target, row.reason)
        return " ".join(parts).casefold()

    return [row for row in rows if all(word in text(row) for word in words)]


def decided(
    spec: MappingSpec, part: str, action: Action, *, by: str, at: datetime, reason: str = ""
) -> DecisionRow | None:
    """The decision about a part as it stands; None where no pair of fields is decided upon."""
    name, _, path = part.partition(".")
    sources = part_sources(spec, part)
    if part == FLOW or name not in spec.targets or not sources or part in spec.blocks():
        return None
    return DecisionRow(
        at=at.astimezone(UTC),
        person=by,
        action=action,
        flow=spec.spec,
        part=part,
        source_ref=reference(f"{spec.source.system}/{spec.source.entity}"),
        sources=sources,
        target_ref=reference(spec.targets[name]),
        target=path,
        reason=" ".join(reason.split()),
    )


def reference(name: str) -> str:
    """System and entity in the one way they are compared: `orders.json`'s stem stands for both."""
    plain = name.split("@", 1)[0].casefold()
    return plain if "/" in plain else f"{plain}/{plain}"


class DecisionStore:
    """The decisions of one file; it is made with the first one."""

    def __init__(self, path: Path, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.path = path
        self._pause = pause

    def record(self, rows: Sequence[DecisionRow]) -> None:
        """Add decisions, all or none.

        Raises:
            InputError: The file cannot be written, or another program keeps it open.
        """
        if not rows:
            return
        with self._open() as connection:
            connection.executemany(
                "INSERT INTO decision"
                " (moment, person, action, flow, part, source_ref, sources, target_ref, target, reason) VALUES"
                " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        row.at.astimezone(UTC).replace(tzinfo=None),
                        *(row.person, row.action, row.flow, row.part, row.source_ref, list(row.sources)),
                        *(row.target_ref, row.target, row.reason),
                    )
                    for row in rows
                ],
            )

    def rows(self) -> list[DecisionRow]:
        """All decisions, oldest first; empty when there is no file.

        Raises:
            InputError: The file cannot be read.
        """
        if not self.path.exists():
            return []
        with self._open() as connection:
            found = connection.execute(f"SELECT {_COLUMNS} FROM decision ORDER BY number").fetchall()  # noqa: S608  fixed
        return [
            DecisionRow(
                at.replace(tzinfo=UTC),
                person,
                action,
                flow,
                part,
                source,
                tuple(sources),
                target_ref,
                target,
                reason,
                n,
            )
            for n, at, person, action, flow, part, source, sources, target_ref, target, reason in found
        ]

    def forget(self, numbers: Sequence[int]) -> int:
        """Remove decisions for good; gives how many there were."""
        if not self.path.exists() or not numbers:
            return 0
        with self._open() as connection:
            gone = connection.execute(
                "DELETE FROM decision WHERE number IN (SELECT unnest(?)) RETURNING number", [list(numbers)]
            ).fetchall()
            # A checkpoint rewrites the file, so that what is forgotten is not left in its log.
            connection.execute("CHECKPOINT")
        return len(gone)

    def restore(self, rows: Sequence[DecisionRow]) -> int:
        """Put back what was forgotten, at its old place; gives how many there are now that were not before."""
        if not rows:
            return 0
        with self._open() as connection:
            known = {row[0] for row in connection.execute("SELECT number FROM decision").fetchall()}
            fresh = [row for row in rows if row.number not in known]
            if fresh:
                connection.executemany(
                    f"INSERT INTO decision ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  fixed
                    [
                        (
                            *(row.number, row.at.astimezone(UTC).replace(tzinfo=None), row.person, row.action),
                            *(row.flow, row.part, row.source_ref, list(row.sources)),
                            *(row.target_ref, row.target, row.reason),
                        )
                        for row in fresh
                    ],
                )
        return len(fresh)

    def recall(self, now: datetime) -> Recall:
        """Reads the decisions once, for any pairs of record kinds.

        Raises:
            InputError: The file cannot be read.
        """
        rows = self.rows()
        return lambda source_ref, target_ref: history_of(rows, source_ref, target_ref, now=now)

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_name(self.path.name + ".lock")):
            connection = self._connected()
            try:
                yield connection
            except duckdb.Error as error:
                raise InputError(f"{self.path}: {_first_line(error)}") from None
            finally:
                connection.close()

    def _connected(self) -> duckdb.DuckDBPyConnection:
        for attempt in range(_TRIES):
            try:
                connection = duckdb.connect(str(self.path))
                connection.execute(_SCHEMA)
                return connection
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise InputError(f"{self.path}: {_first_line(error)}") from None
                if attempt + 1 < _TRIES:
                    self._pause(_PAUSE_S)
            except duckdb.Error as error:
                raise InputError(f"{self.path}: is no file of decisions: {_first_line(error)}") from None
        raise InputError(f"{self.path}: another program keeps the decisions open; close it and try again")


def history_of(rows: Sequence[DecisionRow], source_ref: str, target_ref: str, *, now: datetime) -> PastDecisions:
    """What decisions say about one pair of record kinds.

    Of several decisions of one flow about the same part and sources, the last one counts.
    """
    last: dict[tuple[Any, ...], DecisionRow] = {}
    for row in sorted(rows, key=lambda row: row.number):
        last[(row.flow, row.part, row.source_ref, row.target_ref, row.sources)] = row
    return PastDecisions(
        [
            PastDecision(
                row.source_ref,
                row.sources,
                row.target_ref,
                row.target,
                row.action,
                (now - row.at).total_seconds() / 86_400,
            )
            for row in last.values()
        ],
        reference(source_ref),
        reference(target_ref),
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
