"""Drafts and samples on disk: one file each, written whole, with the earlier versions for undo."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from mapper_ai.errors import InputError, UnknownPartError
from mapper_ai.services.atomic import write_text
from mapper_ai.services.findings import Finding
from mapper_ai.services.kept import Kept, Stamp, meaning, same_meaning, stamp
from mapper_ai.services.propose import Alternative
from mapspec import CompiledSpec, MappingSpec, SpecError, compile_spec, dump_spec, load_spec
from sync.envelope import EnvelopeError, dumps, loads

_FORMAT: Final = 1
_KEPT: Final = 50


@dataclass(frozen=True)
class Sample:
    """One source record and what to call it; `masked` when its personal values are pseudonyms already."""

    name: str
    record: dict[str, Any]
    masked: bool = False


@dataclass(frozen=True)
class Draft:
    """A draft as stored.

    Attributes:
        text: The spec, canonical.
        file: Mapping file that it is saved to.
        base: SHA-256 of that file's text when it was last read or written; "" when there was none.
        mark: SHA-256 of the draft's own text at that moment; "" when there was none.
        alternatives: Part -> ranked sources.
        findings: What proposing had to say.
        history: Earlier texts, packed, oldest first.
        changed_by: Part -> digest and name of who made it what it is.
    """

    text: str
    file: Path
    base: str = ""
    mark: str = ""
    alternatives: Mapping[str, tuple[Alternative, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    history: tuple[str, ...] = ()
    changed_by: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def editor_of(self, part: str, digest: str) -> str:
        """Who made a part what it is by hand; "" when nobody did."""
        known = self.changed_by.get(part, ("", ""))
        return known[1] if known[0] == digest else ""

    @property
    def spec(self) -> MappingSpec:
        """The spec."""
        return parsed(self.text)

    @property
    def untouched(self) -> bool:
        """Nothing was decided since the file was read or written."""
        return bool(self.mark) and text_hash(self.text) == self.mark

    def in_step(self, base: str) -> Draft:
        """The draft as it stands, in step with a file of that hash."""
        return replace(self, base=base, mark=text_hash(self.text))

    def changed(self, text: str) -> Draft:
        """The draft with another text; this one can be brought back."""
        return replace(self, text=text, history=(*self.history, _pack(self.text))[-_KEPT:])

    def undone(self) -> Draft | None:
        """The draft before the last change, None when there is none."""
        if not self.history:
            return None
        return replace(self, text=_unpack(self.history[-1]), history=self.history[:-1])


_SPECS: Final[Kept[MappingSpec]] = Kept(32)
_COMPILED: Final[Kept[CompiledSpec]] = Kept(32)
_DRAFTS: Final[Kept[Draft]] = Kept(16)
_SAMPLES: Final[Kept[tuple[Sample, ...]]] = Kept(16)


def parsed(text: str) -> MappingSpec:
    """A spec by its text; specs are frozen, so one object serves all.

    Raises:
        SpecError: The text is no spec.
    """
    return _SPECS.get(text, lambda: load_spec(text, where="draft"))


def decided_text(spec: MappingSpec, earlier: str) -> str:
    """The text of a spec that differs from an earlier text in approvals only."""
    text = dump_spec(spec)
    _SPECS.put(text, spec)
    same_meaning(text, earlier)
    return text


def compiled(text: str, open_gate: bool = False) -> CompiledSpec:
    """A spec compiled by its text; with `open_gate` it maps every record. Approvals in it may be earlier ones.

    Raises:
        SpecError: It does not compile.
    """
    text = meaning(text)
    return _COMPILED.get((text, open_gate), lambda: _compile(parsed(text), open_gate))


def _compile(spec: MappingSpec, open_gate: bool) -> CompiledSpec:
    if open_gate:
        spec = spec.model_copy(update={"gate": (), "assertions": ()})
    try:
        return compile_spec(spec)
    except ValueError as error:
        raise SpecError(f"flow: {' '.join(str(error).split())[:200]}", where=spec.spec) from None


def text_hash(text: str) -> str:
    """SHA-256 of a file's text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class DraftStore:
    """The files of one workspace folder. Callers hold the workspace's lock while they read and write."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "flows"
        # Samples hold customers' data: nobody else on the machine reads them.
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def names(self) -> list[str]:
        """Names of the drafts."""
        return sorted(path.name.removesuffix(".draft.json") for path in self._folder.glob("*.draft.json"))

    def load(self, flow: str) -> Draft | None:
        """A draft, None when there is none.

        Raises:
            InputError: The file is damaged.
        """
        path = self._path(flow, "draft")
        key = stamp(path)
        return None if key is None else _DRAFTS.get(key, lambda: self._read(path))

    def _read(self, path: Path) -> Draft:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data["format"] != _FORMAT:
                raise ValueError
            return Draft(
                text=data["text"],
                file=Path(data["file"]),
                base=data["base"],
                mark=data["mark"],
                alternatives={
                    part: tuple(Alternative(*row) for row in rows) for part, rows in data["alternatives"].items()
                },
                findings=tuple(Finding(*row) for row in data["findings"]),
                history=tuple(data["history"]),
                changed_by={part: (digest, who) for part, (digest, who) in data.get("changed_by", {}).items()},
            )
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path}: the draft is damaged; delete the file and open the mapping again") from None

    def save(self, flow: str, draft: Draft) -> None:
        """Write a draft in one step."""
        data = {
            "format": _FORMAT,
            "text": draft.text,
            "file": str(draft.file),
            "base": draft.base,
            "mark": draft.mark,
            "alternatives": {
                part: [[row.source, row.confidence, row.reason, dict(row.evidence)] for row in rows]
                for part, rows in draft.alternatives.items()
            },
            "findings": [[row.id, row.level, row.part, row.message] for row in draft.findings],
            "history": list(draft.history),
            "changed_by": {part: list(known) for part, known in draft.changed_by.items()},
        }
        write_text(self._path(flow, "draft"), json.dumps(data, ensure_ascii=False))

    def load_samples(self, flow: str) -> list[Sample]:
        """The stored samples; empty when none are stored.

        Raises:
            InputError: The file is damaged.
        """
        key = self.samples_stamp(flow)
        return [] if key is None else list(_SAMPLES.get(key, lambda: self._read_samples(self._path(flow, "samples"))))

    def samples_stamp(self, flow: str) -> Stamp | None:
        """Tells one set of samples from the next; None when there is none."""
        return stamp(self._path(flow, "samples"))

    def _read_samples(self, path: Path) -> tuple[Sample, ...]:
        try:
            rows = loads(path.read_bytes())
            return tuple(Sample(row["name"], row["record"], bool(row.get("masked"))) for row in rows)
        except (EnvelopeError, KeyError, TypeError):
            raise InputError(f"{path}: the samples are damaged; delete the file and add them again") from None

    def save_samples(self, flow: str, samples: Sequence[Sample]) -> None:
        """Write samples in one step; numbers stay exact."""
        path = self._path(flow, "samples")
        write_text(path, dumps([{"name": row.name, "record": row.record, "masked": row.masked} for row in samples]))

    def _path(self, flow: str, what: str) -> Path:
        if not flow or not all(sign.isascii() and (sign.isalnum() or sign == "-") for sign in flow):
            raise UnknownPartError(f"'{flow}' is no name of a flow; known kinds: order-to-invoice, ...")
        return self._folder / f"{flow}.{what}.json"


def _pack(text: str) -> str:
    return base64.b85encode(zlib.compress(text.encode("utf-8", "surrogatepass"))).decode("ascii")


def _unpack(packed: str) -> str:
    return zlib.decompress(base64.b85decode(packed)).decode("utf-8", "surrogatepass")
