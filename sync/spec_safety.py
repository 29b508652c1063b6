"""Which version of each mapping runs: the approved file, else the version of it that was approved last.

An edit that nobody has approved, or half a file, must neither run nor stop the books. So every approved version is kept
in the store by its fingerprint, and a file that may not run leaves the last one of the same file, the same source and
the same FreshBooks account at work, which is said loudly. Folders are looked at again every few seconds; a new version
is taken over between two events.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from mapspec import MappingSpec, SpecError, load_spec
from sync import records
from sync.specs import (
    ApprovedSpec,
    Mappings,
    load_mappings,
    mappings_of,
    place_of,
    read_file,
    second_for,
    spec_files,
    taken_by,
    vet,
)
from sync.store import Store
from sync.store import mapping as mapping_table

if TYPE_CHECKING:
    from sync.settings import Settings
    from sync.worker import Context

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
REFRESH_JOB_S = 2.0

State = Literal["runs", "last", "stopped", "removed"]
"""runs: the file as it stands. last: an earlier version, since the file may not run. stopped: nothing; events wait.
removed: the file is gone, and nothing takes its events."""


@dataclass(frozen=True)
class MappingState:
    """One mapping file as the runner sees it.

    Attributes:
        fingerprint: Of the version that runs; None when none does.
        problem: Why the file itself may not run.
        since: Of this state, unix seconds.
    """

    file: str
    spec: str | None
    entity: str | None
    state: State
    fingerprint: str | None
    problem: str | None
    since: float

    @property
    def text(self) -> str:
        """For people, in one line."""
        if self.state == "last":
            return f"{self.file} may not run; its last approved version ({self.fingerprint}) goes on: {self.problem}"
        if self.state == "stopped":
            return f"{self.file} may not run and no approved version of it is known; its events wait: {self.problem}"
        if self.state == "removed":
            return f"{self.file} is gone: nothing takes its events any more"
        return f"{self.file} runs ({self.fingerprint})"


def mapping_states(store: Store) -> list[MappingState]:
    """Every mapping file that was ever seen, by name."""
    with store.read() as conn:
        rows = conn.execute(sa.select(mapping_table).order_by(mapping_table.c.file)).all()
    return [
        MappingState(
            row.file,
            row.spec,
            row.entity,
            row.state,
            row.fingerprint if row.state in ("runs", "last") else None,
            row.problem,
            row.at,
        )
        for row in rows
    ]


def spec_problems(store: Store) -> list[MappingState]:
    """The files that may not run as they stand: for alerts and the status."""
    return [known for known in mapping_states(store) if known.state in ("last", "stopped")]


class LiveMappings:
    """The mappings of a process, which follow their folder; safe to share between threads."""

    def __init__(
        self,
        folder: Path,
        *,
        may_run_last: bool,
        load: Callable[[Path], Mappings] = load_mappings,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        back: Path | None = None,
    ) -> None:
        """Read the folder.

        Args:
            back: A second folder, with the mappings of the way back.
            may_run_last: False refuses to start with a file that may not run, and stops its flow later on.

        Raises:
            SpecError: There are no files, or one may not run and nothing else is allowed to.
        """
        self._folders = [folder] if back is None else [folder, back]
        self._account = ""
        self._may_run_last = may_run_last
        self._now = now
        self._clock = clock
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._stamp = self._acted = _stamp(self._folders)
        self._looked = self._stamp_at = clock()
        self._current = Mappings({})
        self._refused: SpecError | None = None
        for one in self._folders:
            spec_files(one)
        _require_own_names(self._folders)
        try:
            loaded = [load(one) for one in self._folders]
            self._current = Mappings(
                {entity: spec for one in loaded for entity, spec in one.by_entity.items()},
                corrections={entity: specs for one in loaded for entity, specs in one.corrections.items()},
            )
        except SpecError as error:
            if not may_run_last:
                raise
            self._refused = error

    def open(self, store: Store, *, account: str) -> list[MappingState]:
        """Go by what the store knows of earlier versions, and note what runs; the files that may not.

        Args:
            account: Of the target; what was approved while another one was connected does not count.

        Raises:
            SpecError: A file may not run, and no approved version of it is known.
        """
        self._store, self._account = store, account
        found, mappings = self._judge(store)
        if self._refused is not None and any(known.state == "stopped" for known in found):
            raise self._refused
        self._take_over(store, found, mappings)
        return [known for known in found if known.state != "runs"]

    @property
    def current(self) -> Mappings:
        """What to go by now, all of one look at the folder; it may be another one at the next call."""
        self._follow()
        return self._current

    @property
    def by_entity(self) -> Mapping[str, ApprovedSpec]:
        """The specs to go by now."""
        return self.current.by_entity

    @property
    def corrections(self) -> Mapping[str, tuple[ApprovedSpec, ...]]:
        """The specs of corrections to go by now."""
        return self.current.corrections

    def refresh(self) -> None:
        """Look at the folder now."""
        if self._store is None:
            return
        with self._lock:
            stamp, now = _stamp(self._folders), self._clock()
            if not stamp:  # a disk that is not there, a deployment under way: no word of anybody that all shall end
                if self._stamp:
                    log.error("no mapping file is there; what runs goes on", extra={"folder": self._folders[0].name})
                self._stamp = stamp
                return
            if stamp != self._stamp:
                self._stamp, self._stamp_at = stamp, now
                return
            # The same for a while: a file that is being written is left alone until it is whole. Several ask here,
            # so two looks in a row may be next to each other.
            if now - self._stamp_at >= LOOK_EVERY_S / 2 and stamp != self._acted:
                self._acted = stamp
                self._take_over(self._store, *self._judge(self._store))

    def _follow(self) -> None:
        if self._clock() - self._looked < LOOK_EVERY_S:
            return
        self._looked = self._clock()
        self.refresh()

    def _judge(self, store: Store) -> tuple[list[MappingState], Mappings]:
        """Every file's state, and what runs then."""
        known = _rows(store)
        chosen: dict[str, ApprovedSpec] = {}
        waiting: dict[str, str] = {}
        found: list[MappingState] = []
        files = [path for folder in self._folders for path in folder.glob("*.yaml")]
        # What runs already goes first: a newcomer for the same records must not push it aside.
        files.sort(key=lambda path: (known.get(path.name, {}).get("state") not in ("runs", "last"), path.name))
        for path in files:
            row = known.pop(path.name, None)
            state = self._judge_file(store, path, row, chosen)
            if state.state == "stopped" and state.entity:
                waiting[state.entity] = state.problem or ""
            found.append(state)
        for name, row in known.items():
            found.append(self._stated(name, row["spec"], row["entity"], "removed", None, None))
        return found, mappings_of(chosen, waiting)

    def _judge_file(
        self, store: Store, path: Path, row: Mapping[str, Any] | None, chosen: dict[str, ApprovedSpec]
    ) -> MappingState:
        read: MappingSpec | None = None
        try:
            file = read_file(path)
            read = file.spec
            approved = file.vet(path)
            if place_of(read) in chosen:
                raise second_for(taken_by(read), path)
        except SpecError as error:
            last = self._last(store, row, read) if self._may_run_last else None
            problem = " ".join(str(error).split())
            if last is None or place_of(last.compiled.spec) in chosen:
                name = read.spec if read is not None else row["spec"] if row else None
                entity = taken_by(read) if read is not None else row["entity"] if row else None
                return self._stated(path.name, name, entity, "stopped", None, problem)
            spec = last.compiled.spec
            chosen[place_of(spec)] = last
            return self._stated(path.name, spec.spec, taken_by(spec), "last", last.fingerprint, problem)
        chosen[place_of(read)] = approved
        return self._stated(path.name, read.spec, taken_by(read), "runs", approved.fingerprint, None)

    def _last(self, store: Store, row: Mapping[str, Any] | None, read: MappingSpec | None) -> ApprovedSpec | None:
        """The version of a file that was approved last; None when it is about something else than the file now."""
        if row is None or row["fingerprint"] is None or row["account"] != self._account:
            return None
        text = records.load_spec(store, row["fingerprint"])
        if text is None:
            return None
        where = Path(f"{row['file']} as approved ({row['fingerprint']})")
        try:
            kept = vet(load_spec(text, where=str(where)), where)
        except SpecError as error:
            log.error("kept spec cannot run", extra={"file": row["file"], "problem": str(error)})
            return None
        before = kept.compiled.spec.source
        if kept.fingerprint != row["fingerprint"]:
            return None
        if read is not None and (read.source.system, read.source.entity) != (before.system, before.entity):
            return None
        return kept

    def _stated(
        self, file: str, spec: str | None, entity: str | None, state: State, mark: str | None, problem: str | None
    ) -> MappingState:
        return MappingState(file, spec, entity, state, mark, problem, self._now())

    def _take_over(self, store: Store, found: list[MappingState], mappings: Mappings) -> None:
        before = {known.file: known for known in mapping_states(store)}
        for spec in (*mappings.by_entity.values(), *chain.from_iterable(mappings.corrections.values())):
            records.save_spec(store, spec.fingerprint, spec.compiled.spec.spec, spec.text, now=self._now())
        self._current = mappings
        for state in found:
            was = before.get(state.file)
            if was is not None and replace(was, since=state.since) == state:
                continue
            self._note(store, state)
            level = logging.INFO if state.state == "runs" else logging.ERROR
            log.log(level, "mapping %s", state.state, extra={"file": state.file, "problem": state.problem})

    def _note(self, store: Store, state: MappingState) -> None:
        values: dict[str, Any] = {
            "spec": state.spec,
            "entity": state.entity,
            "state": state.state,
            "problem": state.problem,
            "at": state.since,
        }
        if state.state == "runs":  # only an approved file changes what may be gone back to
            values |= {"fingerprint": state.fingerprint, "account": self._account}
        statement = store.insert(mapping_table).values(file=state.file, **{"account": self._account, **values})
        with store.write() as conn:
            conn.execute(statement.on_conflict_do_update(index_elements=["file"], set_=values))


def mappings_for(
    settings: Settings, folder: Path, *, lasting: bool, load: Callable[[Path], Mappings] = load_mappings
) -> LiveMappings:
    """The mappings of a command: one that lasts may go on with what was approved last, a single pass refuses.

    Raises:
        SpecError: As `LiveMappings`.
    """
    wanted = settings.runner.on_unapproved or ("last" if lasting else "refuse")
    back = settings.way_back.mappings if settings.reading.back else None
    return LiveMappings(folder, may_run_last=wanted == "last", load=load, back=back)


def open_mappings(mappings: Any, settings: Settings, store: Store) -> None:
    """Open live mappings, and say aloud what may not run; others are left alone.

    Raises:
        SpecError: As `LiveMappings.open`.
    """
    if not isinstance(mappings, LiveMappings):
        return
    for known in mappings.open(store, account=f"{settings.freshbooks.api_url} {settings.freshbooks.account_id}"):
        if known.state != "removed":
            print(f"mapper-sync: {known.text}", file=sys.stderr)


def refresh_mappings(context: Context) -> bool:
    """The job: an idle process notices a changed file too, and its counts of drift get to the store."""
    if isinstance(context.mappings, LiveMappings):
        context.mappings.refresh()
    context.drift.flush()
    return False


def _require_own_names(folders: Sequence[Path]) -> None:
    names: dict[str, Path] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.yaml"))):
        if names.setdefault(path.name, path) != path:
            raise SpecError(f"{names[path.name]} has the same name; states are kept by file name", where=str(path))


def _stamp(folders: Sequence[Path]) -> tuple[tuple[str, int, int, int], ...]:
    found = []
    for path in sorted(path for folder in folders for path in folder.glob("*.yaml")):
        try:
            about = path.stat()
        except OSError:
            continue  # gone between the two looks
        found.append((path.name, about.st_mtime_ns, about.st_size, about.st_ino))
    return tuple(found)


def _rows(store: Store) -> dict[str, dict[str, Any]]:
    with store.read() as conn:
        rows = conn.execute(sa.select(mapping_table)).mappings().all()
    return {row["file"]: dict(row) for row in rows}
