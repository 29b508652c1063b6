"""What the drafts change against what is published, and ways to publish it: the file, a branch, a patch.

Compared is with the base branch where the mappings lie in a git repository, else with the saved files; by the engine
of `mapper review`, so that the page and the pull request say the same.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Literal

from mapper_ai.errors import Conflict, InputError, MapperError
from mapper_ai.services.gitcommit import Author, as_patch, commit_files, run, tip_of
from mapper_ai.services.masking import project_key
from mapper_ai.services.review import samples as review_samples
from mapper_ai.services.review.compare import Side, Terms, compare_sides, new_side
from mapper_ai.services.review.gitread import CompareError, Repository
from mapper_ai.services.review.markdown import MARKER, as_markdown
from mapper_ai.services.review.policy import CONFIG, Policy, read_policy
from mapper_ai.services.review.report import Finding, Review, SpecReview
from mapper_ai.services.review.run import policy_at
from mapper_ai.services.specs import compile_at
from mapper_ai.services.workspace import Sample, Workspace
from mapspec import SpecError, dump_spec, fingerprint, load_spec, load_with_lines, unapproved
from mapspec.diff_rules import APPROVAL_RULES

_BASES: Final = ("origin/main", "origin/master", "main", "master", "HEAD")
_MOST_KNOWN: Final = 64
_KNOWN: dict[str, SpecReview] = {}
_LOCK = threading.Lock()
SECOND: Final = frozenset({"self-approval", "approver-not-owner"})
"""Rules of the review that ask for another person."""


@dataclass(frozen=True)
class Ground:
    """What drafts are compared with.

    Attributes:
        kind: git: a commit of the base branch; files: the saved mapping files.
        name: For people: origin/main.
        root: Of the repository; None without one.
        commit: "" without git.
    """

    kind: Literal["git", "files"]
    name: str
    root: Path | None = None
    commit: str = ""
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True)
class Change:
    """One draft against what is published.

    Attributes:
        path: From the repository's root, else the file as it will be saved.
        old: Text that is published; None for a new mapping.
        new: Text that would be, with the version it needs.
        version: Of the new text.
        review: None where it could not be compared.
        waiting: Parts that nobody has approved as they stand.
        saved: The file holds the draft as it stands.
        error: Why it cannot be compared or published.
    """

    flow: str
    path: str
    old: str | None
    new: str
    version: int = 0
    review: SpecReview | None = None
    waiting: tuple[str, ...] = ()
    saved: bool = False
    error: str = ""

    @property
    def second(self) -> tuple[Finding, ...]:
        """Approvals that another person has to give."""
        return tuple(row for row in (self.review.findings if self.review else ()) if row.id in SECOND)

    @property
    def blocked(self) -> str:
        """Why the runner must not get it yet, in a line; "" when it may."""
        if self.error:
            return self.error
        if self.waiting:
            return f"{len(self.waiting)} of its parts wait for approval"
        found = [row for row in (self.review.findings if self.review else ()) if row.id in APPROVAL_RULES]
        return f"{found[0].part}: {found[0].message}" if found else ""


@dataclass(frozen=True)
class PullRequest:
    """Its title and text."""

    title: str
    body: str


def ground_of(mappings: Path, environ: Mapping[str, str] | None = None) -> Ground:
    """What mappings of a folder are compared with: MAPPER_BASE, else the usual branches, else the saved files.

    Raises:
        CompareError: MAPPER_BASE names no commit.
        InputError: The policy cannot be read.
    """
    env = os.environ if environ is None else environ
    named = env.get("MAPPER_BASE", "").strip()
    try:
        folder = next(place for place in (mappings.absolute(), *mappings.absolute().parents) if place.is_dir())
        repository = Repository(folder)
        if named:
            commit = repository.commit(named, "base")
        else:
            named, commit = _usual_base(repository)
    except CompareError:
        if named:
            raise
        return Ground("files", "the saved files", policy=_policy_beside(env))
    if _ignored(repository.root, mappings):
        return Ground("files", "the saved files", policy=_policy_beside(env))
    return Ground("git", named, repository.root, commit, policy_at(repository, commit, commit))


def _usual_base(repository: Repository) -> tuple[str, str]:
    for name in _BASES:
        try:
            return name, repository.commit(name, "base")
        except CompareError:
            continue
    raise CompareError("there is no commit yet")


def _ignored(root: Path, place: Path) -> bool:
    try:
        return bool(run(root, "check-ignore", "--", str(place.resolve()), what="not ignored"))
    except InputError:
        return False


def _policy_beside(environ: Mapping[str, str]) -> Policy:
    path = Path(environ.get("MAPPER_CONFIG") or CONFIG)
    return read_policy(path.read_text("utf-8", "replace"), str(path)) if path.is_file() else Policy()


def changes(work: Workspace, ground: Ground, *, by: str, today: date) -> list[Change]:
    """Every flow that has a draft or a file, by name; those without a change have a review without findings.

    Args:
        by: Who would publish; they count as the author of what is not committed yet.
    """
    key = project_key(work.root)
    return [
        _change(work, card.name, Path(card.file), saved=card.saved, ground=ground, by=by, today=today, key=key)
        if not card.error
        else Change(card.name, "", None, "", error=card.error)
        for card in work.flows()
        if card.rows or card.error
    ]


def _change(
    work: Workspace, flow: str, file: Path, *, saved: bool, ground: Ground, by: str, today: date, key: bytes
) -> Change:
    path, new = str(file), work.text(flow)
    try:
        path, old = _published(ground, file)
        new, version = _with_version(old, new)
        waiting = tuple(row.part for row in unapproved(load_spec(new, where=path)))
        who = author_of(ground, by)
        terms = Terms(today, ground.policy, key, counted=False)
        found = _compared(path, old, new, work.samples(flow), terms, (who.name, who.email))
    except (MapperError, SpecError) as error:
        return Change(flow, path, None, new, saved=saved, error=str(error))
    return Change(flow, path, old, new, version, found, waiting, saved)


def _published(ground: Ground, file: Path) -> tuple[str, str | None]:
    """Path as people call it, and the text that is published there."""
    if ground.kind == "files" or ground.root is None:
        return str(file), file.read_text("utf-8-sig") if file.is_file() else None
    repository = Repository(ground.root)
    place = repository.place(file.absolute())
    if place is None:
        raise InputError(f"{file}: is outside the repository {ground.root}; save it among its mappings")
    rows = [row for row in repository.files(ground.commit, [place]) if row.path == place]
    if not rows:
        return place, None
    return place, repository.contents(rows)[rows[0].blob].decode("utf-8-sig", "replace")


def _with_version(old: str | None, new: str) -> tuple[str, int]:
    """A changed meaning gets the next version."""
    spec = load_spec(new)
    if old is None:
        return new, spec.version
    before = load_spec(old, where="what is published")
    if spec.version > before.version or fingerprint(spec) == fingerprint(before):
        return new, spec.version
    return dump_spec(spec.model_copy(update={"version": before.version + 1})), before.version + 1


def _compared(
    path: str, old: str | None, new: str, samples: Sequence[Sample], terms: Terms, author: tuple[str, str]
) -> SpecReview:
    """Made once for the same two texts and samples: a page asks at every click."""
    asked = repr((path, old, new, [(row.name, row.record) for row in samples], terms, author))
    mark = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()
    with _LOCK:
        known = _KNOWN.get(mark)
    if known is not None:
        return known
    rows = [review_samples.Sample(row.name, row.name, frozenset(), row.record) for row in samples]
    after = _side(path, new, rows)

    def history() -> list[tuple[tuple[str, ...], str | None]]:
        return [((), old), (author, new)]

    found = (
        new_side(after, terms, history) if old is None else compare_sides(_side(path, old, rows), after, terms, history)
    )
    with _LOCK:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[mark] = found
    return found


def _side(path: str, text: str, samples: Sequence[review_samples.Sample]) -> Side:
    spec, lines = load_with_lines(text, where=path)
    return Side(path, spec, lines, compile_at(spec, where=path, lines=dict(lines)), samples)


def author_of(ground: Ground, by: str) -> Author:
    """Whose change a commit is: the person signed in, by address; a local name is git's own author where it has one."""
    if "@" in by:
        return Author(by.partition("@")[0], by)
    if ground.root is not None:
        try:
            name = run(ground.root, "config", "user.name", what="no name")
            return Author(name, run(ground.root, "config", "user.email", what="no address"))
        except InputError:
            pass
    return Author(by, f"{by}@localhost")


def pull_request(chosen: Sequence[Change], ground: Ground) -> PullRequest:
    """Title and text: what `mapper review` says of the chosen changes."""
    specs = [row.review for row in chosen if row.review is not None]
    notices = [f"{row.flow}: {row.blocked}" for row in chosen if row.blocked]
    head = "the drafts of this change"
    body = as_markdown(Review(ground.commit or ground.name, head, tuple(specs), tuple(notices)))
    return PullRequest(title_of(chosen), body.removeprefix(MARKER).lstrip("\n"))


def title_of(chosen: Sequence[Change]) -> str:
    """One line, for a commit as well."""
    if len(chosen) != 1:
        return f"Change {len(chosen)} mappings: {', '.join(row.flow for row in chosen)}"
    (row,) = chosen
    counts = row.review.counts if row.review else {}
    told = [f"{counts[way]} {way}" for way in ("changed", "added", "removed") if counts.get(way)]
    verb = "Add" if row.old is None else "Change"
    return f"{verb} {row.flow} v{row.version}" + (f": {', '.join(told)}" if told and row.old is not None else "")


def patch_of(chosen: Sequence[Change]) -> str:
    """A patch for `git apply` or `patch -p1`."""
    return "".join(as_patch(row.path.lstrip("/"), row.old, row.new) for row in chosen)


def save_files(work: Workspace, chosen: Sequence[Change]) -> list[Path]:
    """Write the files that the runner reads.

    Raises:
        InputError: Something in them waits for approval, or for another person.
        Conflict: A draft or file was changed since it was shown.
    """
    for row in chosen:
        if row.blocked:
            raise InputError(f"{row.flow}: {row.blocked}; the runner would refuse it")
    _raise_versions(work, chosen)
    return [work.save(row.flow) for row in chosen]


def commit(work: Workspace, chosen: Sequence[Change], ground: Ground, *, branch: str, by: str, message: str) -> str:
    """Commit the drafts on a branch that starts at the base, or on top of a branch of that name; the commit's id.

    Nothing else is touched: no working file, no index, no other branch. A draft that waits for approval may be
    committed, so that somebody else can look at it.

    Raises:
        InputError: There is no repository, the branch cannot be written, or there is nothing to commit.
        Conflict: A draft was changed since it was shown.
    """
    if ground.root is None:
        raise InputError("the mappings lie in no git repository: save the files, or download a patch")
    broken = next((row for row in chosen if row.error), None)
    if broken is not None or not chosen:
        raise InputError(f"{broken.flow}: {broken.error}" if broken else "nothing is chosen to be committed")
    if branch in (ground.name, ground.name.partition("/")[2]):
        raise InputError(f"'{branch}' is the base itself: name a branch of its own")
    _raise_versions(work, chosen)
    tip = tip_of(ground.root, branch)
    if tip is not None and all(_at(ground.root, tip, row.path) == row.new for row in chosen):
        raise InputError(f"branch '{branch}' holds this already")
    return commit_files(
        ground.root,
        {row.path: row.new for row in chosen},
        branch=branch,
        on=ground.commit,
        message=message.strip() or title_of(chosen),
        author=author_of(ground, by),
        may_exist=True,
    )


def _raise_versions(work: Workspace, chosen: Sequence[Change]) -> None:
    for row in chosen:
        work.raise_version(row.flow, row.version)
        if work.text(row.flow) != row.new:
            raise Conflict(f"{row.flow}: the draft was changed since it was shown; look at it again")


def _at(root: Path, commit: str, path: str) -> str | None:
    repository = Repository(root)
    rows = [row for row in repository.files(commit, [path]) if row.path == path]
    return repository.contents(rows)[rows[0].blob].decode("utf-8-sig", "replace") if rows else None
