"""The contract between analyst, reviewer and runner: spec model, operations, engine, checks, fingerprint. Pure."""

from mapspec.approval import approval_of, approve, reset_changed, unapproved
from mapspec.codec import dump_spec, load_spec, load_with_lines, part_line
from mapspec.drafts import Document, Draft, Lookup, Reason
from mapspec.engine import CompiledSpec, compile_spec
from mapspec.errors import SpecError, TransformError
from mapspec.fingerprint import digests, fingerprint
from mapspec.model import MappingSpec

__all__ = [
    "CompiledSpec",
    "Document",
    "Draft",
    "Lookup",
    "MappingSpec",
    "Reason",
    "SpecError",
    "TransformError",
    "approval_of",
    "approve",
    "compile_spec",
    "digests",
    "dump_spec",
    "fingerprint",
    "load_spec",
    "load_with_lines",
    "part_line",
    "reset_changed",
    "unapproved",
]
