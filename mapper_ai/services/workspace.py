"""Drafts of mappings and what a person decides about them; everything on disk, nothing lost by a reload.

A flow is a draft under `ROOT/flows/`, or a file of the mappings folder that nobody changed yet. Every change is one
atomic file write and carries the digest of the part it was made for, so that two tabs cannot overwrite each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from mapper_ai.core.fields import Profile
from mapper_ai.errors import Conflict, InputError, MapperError, UnknownPartError
from mapper_ai.services.approving import NotAllowedError, why_not
from mapper_ai.services.atomic import locked, write_text
from mapper_ai.services.decisions import FILE, Action, DecisionRow, DecisionStore, decided
from mapper_ai.services.drafts import Draft, DraftStore, Sample, compiled, decided_text, text_hash
from mapper_ai.services.edits import change_checks, change_source, change_steps, change_table, without_rejected
from mapper_ai.services.findings import Finding, by_level, checked, waiting
from mapper_ai.services.kept import Kept, meaning
from mapper_ai.services.kinds import KINDS
from mapper_ai.services.lookups import Lookup, lookups
from mapper_ai.services.masking import Masker
from mapper_ai.services.preview import PreviewRow, Tried, part_values, preview_rows, tried_on
from mapper_ai.services.proof import Failure, failed_parts, failures
from mapper_ai.services.propose import Alternative, alternatives_of, propose
from mapper_ai.services.review.policy import Policy
from mapper_ai.services.rows import State, TargetRow, part_state, spec_rows, undecided_rows
from mapper_ai.services.sources import part_sources
from mapper_ai.services.specs import compile_file, read_spec
from mapper_ai.services.targets import Recall, has_rule, missing_required, source_profile, target_goals
from mapspec import MappingSpec, SpecError, approval_of, approve, digests, dump_spec, unapproved
from mapspec.approval import with_approvals
from mapspec.fingerprint import FLOW
from mapspec.model import Approval, TableRule


@dataclass(frozen=True)
class FlowCard:
    """One flow in a list.

    Attributes:
        spec: The spec's id, such as clarity-freshbooks/order-to-invoice.
        rows: Number of parts with a rule, the flow itself included.
        approved: How many of them are approved as they stand.
        required_missing: Required targets without a rule, or with a rejected one.
        saved: The mapping file holds the draft as it stands.
        runnable: Saved, compiles, and nothing in it waits for approval.
        file: Where it is, or will be, saved.
        samples: Number of stored samples.
        error: Why the file or draft cannot be read; everything else is empty then.
    """

    name: str
    spec: str
    rows: int
    approved: int
    required_missing: int
    saved: bool
    runnable: bool
    file: str = ""
    samples: int = 0
    error: str = ""


class _Save(Protocol):
    def __call__(
        self,
        spec: MappingSpec,
        ranked: Mapping[str, tuple[Alternative, ...]] | None = None,
        *,
        decision: bool = False,
        by: str = "",
    ) -> None: ...


_UNDECIDED: Final[Kept[list[TargetRow]]] = Kept(8)
_TRIED: Final[Kept[list[Tried]]] = Kept(8)
_DIGESTS: Final[Kept[dict[str, str]]] = Kept(16)
_CHECKED: Final[Kept[list[Finding]]] = Kept(8)
_LOOKUPS: Final[Kept[list[Lookup]]] = Kept(4)
_CARDS: Final[Kept[FlowCard]] = Kept(32)
_PROFILES: Final[Kept[Profile]] = Kept(8)


class Workspace:
    """Drafts, samples and decisions under one folder."""

    def __init__(
        self, root: Path, mappings: Path, now: Callable[[], datetime], decisions: Path, policy: Policy | None = None
    ) -> None:
        self.policy = policy or Policy()
        self.root = root
        self.mappings = mappings
        self._now = now
        self._store = DraftStore(root)
        self._decisions = DecisionStore(decisions)

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        mappings: Path,
        now: Callable[[], datetime] | None = None,
        decisions: Path | None = None,
        policy: Policy | None = None,
    ) -> Workspace:
        """Open, making the folder if needed.

        Args:
            root: Drafts, masked samples, and the key that masks them.
            mappings: Where approved specs live in git.
            decisions: The file of decisions, may be shared with other workspaces; in `root` when None.
            policy: Who may approve what; everybody everything when None.
        """
        root.mkdir(parents=True, exist_ok=True)
        return cls(root, mappings, now or (lambda: datetime.now(UTC)), decisions or root / FILE, policy)

    @staticmethod
    def kinds() -> list[str]:
        """Names of the flows that can be started: order-to-invoice, ..."""
        return list(KINDS)

    def flows(self) -> list[FlowCard]:
        """Drafts and mapping files, by name."""
        return [self._card(name) for name in self.names()]

    def names(self) -> list[str]:
        """Names of the drafts and mapping files, sorted."""
        return sorted({*self._store.names(), *(path.stem for path in self._files())})

    def start(self, flow: str, samples: Sequence[Sample], *, system: str = "samples") -> None:
        """Store the samples masked and propose a draft; replaces a draft of that name (undo brings it back).

        Args:
            flow: One of `kinds()`.
            samples: At least one.
            system: What to call the source where it is none of Clarity: small letters, digits, hyphens.

        Raises:
            UnknownPartError: No such kind of flow.
            InputError: No samples.
        """
        if flow not in KINDS:
            raise UnknownPartError(f"there is no flow '{flow}' to start; known: {', '.join(KINDS)}")
        if not samples:
            raise InputError(f"{flow}: no samples; choose at least one source record")
        rows = self.masked(samples)
        proposal = propose(flow, [row.record for row in rows], system=system, recall=self._recall())
        with self._locked():
            self._store.save_samples(flow, rows)
            old = self._draft(flow)
            file = old.file if old else self.mappings / f"{flow}.yaml"
            fresh = old.changed(dump_spec(proposal.spec)) if old else Draft(dump_spec(proposal.spec), file, _hash(file))
            self._store.save(
                flow, replace(fresh, alternatives=proposal.alternatives, findings=proposal.findings, file=file)
            )

    def adopt(self, path: Path) -> str:
        """Open a mapping file as draft, in place of a draft of that name (undo brings it back); gives the flow's name.

        Raises:
            SpecError: The file is no spec.
            InputError: It cannot be read.
        """
        file = read_spec(path)
        name = path.stem
        with self._locked():
            old = self._store.load(name)
            text = dump_spec(file.spec)
            fresh = old.changed(text) if old and old.text != text else (old or Draft(text, path))
            ranked = alternatives_of(file.spec, self._profile(name, file.spec), self._recall())
            fresh = replace(fresh, file=path, alternatives=ranked, findings=())
            self._store.save(name, fresh.in_step(text_hash(file.text)))
        return name

    def set_samples(self, flow: str, samples: Sequence[Sample]) -> None:
        """Store samples for a flow without proposing anything: masked, card data and secrets removed."""
        rows = self.masked(samples)
        with self._locked():
            self._store.save_samples(flow, rows)

    def samples(self, flow: str) -> list[Sample]:
        """The stored samples, in the order given."""
        return self._stored(flow)

    def masked(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples as they are stored and shown; what is masked already stays as it is."""
        masker = Masker.of_project(self.root)
        try:
            return [row if row.masked else Sample(*masker.mask_named(row.name, row.record), True) for row in samples]
        except RecursionError:
            raise InputError("a sample is nested too deeply to be masked, and is not stored") from None

    def source_fields(self, flow: str) -> list[str]:
        """Paths that can be chosen as a source: of the samples and of the source's contract, sorted."""
        profile = self._profile(flow, self._need(flow).spec)
        return sorted(entry.path for entry in profile.fields if entry.addressable)

    def spec(self, flow: str) -> MappingSpec:
        """The draft as it stands."""
        return self._need(flow).spec

    def rows(self, flow: str) -> list[TargetRow]:
        """Every part, and every writable target field without a rule; required and undecided first."""
        draft = self._need(flow)
        return spec_rows(draft.spec, draft.alternatives, self._undecided(draft))

    def accept(self, flow: str, part: str, *, digest: str, by: str, comment: str = "") -> None:
        """Approve a part as it stands.

        Raises:
            Conflict: The part changed since `digest` was shown.
            UnknownPartError: No such part, or it has no rule.
            SpecError: The draft does not compile.
            InputError: `by` is empty.
            NotAllowedError: The policy wants somebody else.
        """
        with self._changing(flow) as (draft, save):
            self._expect(draft, part, digest)
            compiled(draft.text)
            problem = why_not(self.policy, part, _name(by), draft.editor_of(part, digest))
            if problem:
                raise NotAllowedError(problem)
            approved = approve(draft.spec, [part], by=_name(by), at=self._at())
            save(_commented(approved, part, comment) if comment.strip() else approved, decision=True)
            self._decide(draft.spec, [part], "accept", by, comment)

    def comment(self, flow: str, part: str, text: str, *, digest: str) -> None:
        """Leave a comment at a part, beside whatever was decided; an empty one is taken away.

        Raises:
            Conflict, UnknownPartError: As in accept.
        """
        with self._changing(flow) as (draft, save):
            self._expect(draft, part, digest)
            save(_commented(draft.spec, part, text), decision=True)

    def may_not(self, flow: str, part: str, *, digest: str, by: str) -> str:
        """Why a person may not approve a part; "" where nothing stands against it."""
        return why_not(self.policy, part, by, self._need(flow).editor_of(part, digest))

    def past(self, flow: str, part: str) -> list[DecisionRow]:
        """What was decided about a part's fields, newest first."""
        spec = self.spec(flow).spec
        return [row for row in reversed(self._decisions.rows()) if (row.flow, row.part) == (spec, part)]

    def reject(self, flow: str, part: str, *, digest: str, by: str, reason: str = "") -> None:
        """Reject a part; `save` leaves rejected fields and lists out of the file.

        Raises:
            Conflict, UnknownPartError, InputError: As in accept.
        """
        with self._changing(flow) as (draft, save):
            self._expect(draft, part, digest)
            rejected = Approval(
                state="rejected", by=_name(by), at=self._at(), digest=digest, comment=" ".join(reason.split()) or None
            )
            spec = with_approvals(draft.spec, lambda name, old: rejected if name == part else old)
            self._decide(draft.spec, [part], "reject", by, reason)
            save(spec, alternatives_of(spec, self._profile(flow, spec), self._recall()), decision=True)

    def set_source(
        self, flow: str, part: str, sources: Sequence[str], *, digest: str, by: str = "", reason: str = ""
    ) -> None:
        """Take other source fields; steps are proposed by rule, the state is proposed again.

        With a name in `by` the change is remembered: for the new sources, and against the old ones.

        The quantity and the price of priced lines are changed in their list's head.

        Raises:
            Conflict, UnknownPartError: As in accept; also for the flow, a list head, or an unknown target.
            SpecError: A source is no path, or no rule can be made for it.
        """
        with self._changing(flow) as (draft, save):
            self._expect(draft, part, digest, may_be_new=True)
            changed = change_source(draft.spec, part, sources, self._profile(flow, draft.spec))
            compiled(dump_spec(changed))
            if by.strip():
                if part_sources(draft.spec, part) != part_sources(changed, part):
                    self._decide(draft.spec, [part], "reject", by, reason)
                self._decide(changed, [part], "edit", by, reason)
            save(changed, by=by)

    def set_steps(self, flow: str, part: str, steps_yaml: str, *, digest: str, by: str = "", reason: str = "") -> None:
        """Take other steps (YAML, one step a line); the state is proposed again. With a name in `by` it is remembered.

        Raises:
            Conflict, UnknownPartError: As in set_source.
            SpecError: The steps do not parse or compile; with the line in `steps_yaml`.
        """
        with self._changing(flow) as (draft, save):
            self._expect(draft, part, digest, may_be_new=True)
            changed = change_steps(draft.spec, part, steps_yaml)
            compiled(dump_spec(changed))
            if by.strip():
                self._decide(changed, [part], "edit", by, reason)
            save(changed, by=by)

    def set_checks(self, flow: str, part: str, checks_yaml: str, *, digest: str, by: str = "") -> None:
        """Take other checks (YAML, one a line); the state is proposed again.

        Raises:
            Conflict, UnknownPartError: As in accept.
            SpecError: The checks do not parse or compile; with the line in `checks_yaml`.
        """
        with self._changing(flow) as (draft, save):
            self._expect(draft, part, digest)
            changed = change_checks(draft.spec, part, checks_yaml)
            compiled(dump_spec(changed))
            save(changed, by=by)

    def set_table(self, flow: str, name: str, table: TableRule, *, was: TableRule, by: str = "") -> None:
        """Take another look-up table; the parts that use it are proposed again.

        Raises:
            Conflict: The table is not what `was` shows any more.
            UnknownPartError: There is no such table.
            SpecError: The draft does not compile with it.
        """
        with self._changing(flow) as (draft, save):
            if draft.spec.tables.get(name) not in (was, None):
                raise Conflict(f"the table {name} was changed since it was shown; look at it again")
            changed = change_table(draft.spec, name, table)
            compiled(dump_spec(changed))
            save(changed, by=by)

    def lookups(self, flow: str) -> list[Lookup]:
        """The look-up tables, and which values of the samples find no row."""
        draft, samples = self._need(flow), self._stored(flow)
        key = (meaning(draft.text), self._store.samples_stamp(flow))
        return _LOOKUPS.get(key, lambda: lookups(draft.spec, [(row.name, row.record) for row in samples]))

    def try_steps(self, flow: str, part: str, steps_yaml: str, *, limit: int = 5) -> list[PreviewRow]:
        """What edited steps would make of the samples, failures first; nothing is saved.

        Raises:
            UnknownPartError: As in set_steps.
            SpecError: The steps do not parse or compile; with the line in `steps_yaml`.
        """
        changed = change_steps(self._need(flow).spec, part, steps_yaml)
        text = dump_spec(changed)
        compiled(text)
        named = [(row.name, row.record) for row in self._stored(flow)]
        return preview_rows(text, named, part=part)[:limit]

    def accept_many(self, flow: str, parts: Sequence[tuple[str, str]], *, by: str) -> list[str]:
        """Approve (part, digest) pairs in one write; money, tax, keys, changed and unmapped parts are left out.

        Returns:
            One line a part that was left out: "invoice.lines[].qty: money, tax and keys are accepted one by one".
        """
        left: list[str] = []
        with self._changing(flow) as (draft, save):
            compiled(draft.text)
            rows = {row.part: row for row in spec_rows(draft.spec, {}, self._undecided(draft))}
            chosen: list[str] = []
            for part, digest in parts:
                row = rows.get(part)
                barred = why_not(self.policy, part, _name(by), draft.editor_of(part, digest))
                if row is None or row.state == "unmapped":
                    left.append(f"{part}: has no rule")
                elif barred:
                    left.append(barred)
                elif row.digest != digest:
                    left.append(f"{part}: changed since it was shown")
                elif row.money:
                    left.append(f"{part}: money, tax and keys are accepted one by one")
                else:
                    chosen.append(part)
            if chosen:
                save(approve(draft.spec, chosen, by=_name(by), at=self._at()), decision=True)
                self._decide(draft.spec, chosen, "accept", by)
        return left

    def undo(self, flow: str) -> bool:
        """Take back the last change of the draft; False when there is none."""
        with self._locked():
            draft = self._draft(flow)
            earlier = draft.undone() if draft else None
            if draft is None or earlier is None:
                return False
            self._withdraw(draft.spec, earlier.spec)
            self._store.save(flow, earlier)
            return True

    def preview(self, flow: str, *, part: str | None = None, limit: int = 20) -> list[PreviewRow]:
        """What the draft makes of the samples, failures first; never raises for what samples hold."""
        text, samples = self._need(flow).text, self._stored(flow)
        named = [(row.name, row.record) for row in samples]
        return preview_rows(text, named, part=part, tried=self._tried(flow, text))[:limit]

    def values_after(self, flow: str, parts: Sequence[str]) -> dict[str, Any]:
        """What the first sample that goes (else the first) gives for each part; parts without a value are left out."""
        draft = self._need(flow)
        tried = self._tried(flow, draft.text)
        if not tried:
            return {}
        chosen = next((row for row in tried if row.draft.decision == "go"), tried[0])
        return part_values(compiled(draft.text, open_gate=True), chosen, parts)

    def findings(self, flow: str) -> list[Finding]:
        """Errors, warnings and unapproved parts."""
        draft = self._need(flow)
        spec = draft.spec
        kept = without_rejected(spec)
        found = list(missing_required(kept, target_goals(kept)))
        found += [
            Finding("sample-fails", "warning", part, _fails(part, row.count, row.tried, row.message))
            for part, row in self._failures(flow, draft).items()
        ]
        found += [
            row
            for row in draft.findings
            if row.id == "not-carried-over" or (row.id == "not-ready" and not has_rule(spec, row.part))
        ]
        if draft.file.exists() and draft.base and _hash(draft.file) != draft.base:
            found.append(Finding("file-changed", "warning", "", f"{draft.file} was changed elsewhere: open it again"))
        parts = frozenset((FLOW, *kept.rules(), *kept.blocks()))
        found += _CHECKED.get((meaning(draft.text), parts), lambda: checked(kept))
        found += waiting(kept, {part: digest for part, digest in self._digests(draft).items() if part in parts})
        return by_level(found)

    def text(self, flow: str) -> str:
        """The canonical YAML that `save` would write."""
        return dump_spec(without_rejected(self._need(flow).spec))

    def saved_text(self, flow: str) -> str | None:
        """What the mapping file holds now; None while there is none."""
        file = self._need(flow).file
        return read_spec(file).text if file.is_file() else None

    def raise_version(self, flow: str, version: int) -> bool:
        """Give the draft a version at least that high; approvals stay, for a version is no meaning. False: it had."""
        with self._changing(flow) as (draft, save):
            if draft.spec.version >= version:
                return False
            save(draft.spec.model_copy(update={"version": version}))
        return True

    def save(self, flow: str) -> Path:
        """Write the canonical YAML into the mappings folder. Unapproved parts may be saved; they do not run.

        Raises:
            Conflict: The file was changed by somebody else since the draft was read from or written to it.
            SpecError: The draft does not compile.
        """
        with self._locked():
            draft = self._draft(flow)
            if draft is None:
                raise UnknownPartError(f"there is no flow '{flow}'")
            compiled(draft.text)
            text = dump_spec(without_rejected(draft.spec))
            if _hash(draft.file) not in (draft.base, text_hash(text)):
                raise Conflict(f"{draft.file} was changed elsewhere; open it again, then repeat what is still wanted")
            draft.file.parent.mkdir(parents=True, exist_ok=True)
            write_text(draft.file, text)
            self._store.save(flow, draft.in_step(text_hash(text)))
            return draft.file

    # --- inside ---

    def _digests(self, draft: Draft) -> dict[str, str]:
        return _DIGESTS.get(meaning(draft.text), lambda: digests(draft.spec))

    def _undecided(self, draft: Draft) -> list[TargetRow]:
        return _UNDECIDED.get(meaning(draft.text), lambda: undecided_rows(draft.spec))

    def _tried(self, flow: str, text: str) -> list[Tried] | None:
        """Every sample through the draft; None where the draft does not compile."""
        samples = self._stored(flow)
        key = (meaning(text), self._store.samples_stamp(flow))
        try:
            return _TRIED.get(key, lambda: tried_on(text, [(row.name, row.record) for row in samples]))
        except SpecError:
            return None

    def _failures(self, flow: str, draft: Draft) -> dict[str, Failure]:
        tried = self._tried(flow, draft.text)
        if tried is None:
            return failures(draft.spec, self._records(flow))
        return failed_parts([row.opened for row in tried])

    def _files(self) -> list[Path]:
        return sorted(self.mappings.glob("*.yaml")) if self.mappings.is_dir() else []

    def _locked(self) -> Any:
        return locked(self.root / "lock")

    def _recall(self) -> Recall:
        return self._decisions.recall(self._now())

    def _decide(self, spec: MappingSpec, parts: Sequence[str], action: Action, by: str, reason: str = "") -> None:
        found = (decided(spec, part, action, by=_name(by), at=self._now(), reason=reason) for part in parts)
        self._decisions.record([row for row in found if row is not None])

    def _withdraw(self, spec: MappingSpec, earlier: MappingSpec) -> None:
        """Forget the last decision about each part that an undo takes back."""
        before, after = digests(earlier), digests(spec)
        undone = {
            part
            for part in before.keys() | after.keys()
            if before.get(part) != after.get(part)
            or (part in before and approval_of(earlier, part) != approval_of(spec, part))
        }
        last: dict[str, list[int]] = {}
        for row in self._decisions.rows() if undone else ():
            if row.flow == spec.spec and row.part in undone:
                known = last.setdefault(row.part, [])
                # Changing a source is one step of the person and two decisions: against the old, for the new one.
                pair = row.action == "edit" and len(known) == 1 and known[0] == row.number - 1
                last[row.part] = [*known, row.number] if pair else [row.number]
        self._decisions.forget([number for numbers in last.values() for number in numbers])

    def _stored(self, flow: str) -> list[Sample]:
        """The samples; what an earlier version of this program stored as it came is masked first."""
        rows = self._store.load_samples(flow)
        if all(row.masked for row in rows):
            return rows
        rows = self.masked(rows)
        self._store.save_samples(flow, rows)
        return rows

    def _records(self, flow: str) -> list[dict[str, Any]]:
        return [row.record for row in self._stored(flow)]

    def _profile(self, flow: str, spec: MappingSpec) -> Profile:
        """What is known of a flow's source; it takes longest of all that a rejection or another source needs."""
        key = (spec.source.system, spec.source.entity, self._store.samples_stamp(flow))
        return _PROFILES.get(key, lambda: source_profile(spec, self._records(flow)))

    def _at(self) -> str:
        return self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _need(self, flow: str) -> Draft:
        with self._locked():
            draft = self._draft(flow)
        if draft is None:
            raise UnknownPartError(f"there is no flow '{flow}'; start one or open a mapping file")
        return draft

    def _draft(self, flow: str) -> Draft | None:
        """The draft; a mapping file that nobody changed here stands for one, and is followed when it changes."""
        draft = self._store.load(flow)
        file = draft.file if draft else self.mappings / f"{flow}.yaml"
        if not file.is_file():
            return draft
        if draft is not None and (_hash(file) == draft.base or not draft.untouched):
            return draft
        fresh = read_spec(file)
        text = dump_spec(fresh.spec)
        adopted = draft.changed(text) if draft is not None else Draft(text, file)
        ranked = alternatives_of(fresh.spec, self._profile(flow, fresh.spec), self._recall())
        adopted = replace(adopted, alternatives=ranked)
        adopted = adopted.in_step(text_hash(fresh.text))
        self._store.save(flow, adopted)
        return adopted

    @contextmanager
    def _changing(self, flow: str) -> Iterator[tuple[Draft, _Save]]:
        with self._locked():
            draft = self._draft(flow)
            if draft is None:
                raise UnknownPartError(f"there is no flow '{flow}'; start one or open a mapping file")
            current = draft

            def save(
                spec: MappingSpec,
                ranked: Mapping[str, tuple[Alternative, ...]] | None = None,
                *,
                decision: bool = False,
                by: str = "",
            ) -> None:
                text = decided_text(spec, current.text) if decision else dump_spec(spec)
                if text != current.text:
                    changed = current.changed(text)
                    if by.strip():
                        before = self._digests(current)
                        made = {part: (digest, _name(by)) for part, digest in digests(spec).items()}
                        fresh = {part: row for part, row in made.items() if before.get(part) != row[0]}
                        changed = replace(changed, changed_by={**current.changed_by, **fresh})
                    self._store.save(flow, changed if ranked is None else replace(changed, alternatives=ranked))

            yield draft, save

    def _expect(self, draft: Draft, part: str, digest: str, *, may_be_new: bool = False) -> None:
        now = self._digests(draft).get(part)
        if now is None and not may_be_new:
            if digest:
                raise Conflict(f"{part} was removed since it was shown")
            raise UnknownPartError(f"{part} has no rule: choose a source first")
        if (now or "") != digest:
            raise Conflict(f"{part} was changed since it was shown; look at it again")

    def _card(self, flow: str) -> FlowCard:
        try:
            with self._locked():
                draft = self._draft(flow)
            if draft is None:
                raise UnknownPartError("was removed")
            on_disk = _hash(draft.file)
            key = (draft.text, draft.base, draft.mark, str(draft.file), on_disk, self._store.samples_stamp(flow))
            return _CARDS.get(key, lambda: self._filled(flow, draft, on_disk))
        except (MapperError, SpecError) as error:
            return FlowCard(flow, "", 0, 0, 0, False, False, error=str(error))

    def _filled(self, flow: str, draft: Draft, on_disk: str) -> FlowCard:
        spec = draft.spec
        kept = without_rejected(spec)
        states: dict[str, State] = {
            part: part_state(approval_of(spec, part), digest) for part, digest in digests(spec).items()
        }
        saved = on_disk == text_hash(dump_spec(kept)) or (draft.untouched and on_disk == draft.base)
        missing = missing_required(kept, target_goals(kept))
        return FlowCard(
            name=flow,
            spec=spec.spec,
            rows=len(states),
            approved=sum(state == "approved" for state in states.values()),
            required_missing=len(missing),
            saved=saved,
            runnable=saved and not unapproved(kept) and _compiles(draft.file),
            file=str(draft.file),
            samples=len(self._store.load_samples(flow)),
        )


def _commented(spec: MappingSpec, part: str, text: str) -> MappingSpec:
    comment = " ".join(text.split()) or None
    return with_approvals(spec, lambda name, old: old.model_copy(update={"comment": comment}) if name == part else old)


def _name(by: str) -> str:
    name = " ".join(by.split())
    if not name:
        raise InputError("who decides? a name is needed (MAPPER_USER)")
    return name


def _hash(file: Path) -> str:
    """Of a file's text, "" when there is none."""
    try:
        return text_hash(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from None


def _compiles(file: Path) -> bool:
    try:
        compile_file(read_spec(file))
    except (SpecError, MapperError):
        return False
    return True


def _fails(part: str, count: int, tried: int, message: str) -> str:
    return f"{part or 'the flow'} fails on {count} of {tried} samples: {message}"


__all__ = [
    "Alternative",
    "Conflict",
    "Finding",
    "FlowCard",
    "InputError",
    "MapperError",
    "PreviewRow",
    "Sample",
    "TargetRow",
    "UnknownPartError",
    "Workspace",
]
