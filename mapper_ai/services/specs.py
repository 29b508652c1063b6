"""Spec files on disk: read, compile and write them, with errors that name file, line and part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mapper_ai.errors import InputError
from mapper_ai.services.atomic import write_text
from mapspec import CompiledSpec, MappingSpec, SpecError, compile_spec, dump_spec, load_with_lines, part_line

EXAMPLE = "a spec, such as mappings/clarity-freshbooks/order-to-invoice.yaml"


@dataclass(frozen=True)
class SpecFile:
    """A spec and where it stands.

    Attributes:
        lines: 1-based line of every member by location.
    """

    path: Path
    text: str
    spec: MappingSpec
    lines: dict[tuple[str | int, ...], int]

    def line_of(self, part: str) -> int | None:
        """The line on which a part starts, None when the text has none."""
        return part_line(self.lines, part)


def read_text(path: Path, *, what: str) -> str:
    """The text of a file.

    Raises:
        InputError: It is missing, a folder, or no UTF-8 text; `what` says what was expected.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of {what}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; give the path of {what}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise InputError(f"{path}: cannot be read ({reason}); give the path of {what}") from None


def read_spec(path: Path) -> SpecFile:
    """Read a spec file.

    Raises:
        InputError: The file is missing or no text.
        SpecError: It is no spec; with file, line and field.
    """
    text = read_text(path, what=EXAMPLE)
    spec, lines = load_with_lines(text, where=str(path))
    return SpecFile(path, text, spec, lines)


def compile_file(file: SpecFile) -> CompiledSpec:
    """Compile a spec that was read.

    Raises:
        SpecError: With the file and the line of the part at fault.
    """
    return compile_at(file.spec, where=str(file.path), lines=file.lines)


def compile_at(spec: MappingSpec, *, where: str, lines: dict[tuple[str | int, ...], int] | None = None) -> CompiledSpec:
    """Compile a spec; the error names the part's line where `lines` are known.

    Raises:
        SpecError: A table, time zone or placeholder in it does not exist.
    """
    try:
        return compile_spec(spec)
    except SpecError as error:
        part = error.message.split(": ", 1)[0]
        raise SpecError(error.message, where=where, line=part_line(lines or {}, part) if lines else None) from None
    except ValueError as error:
        # Texts of the flow (reasons, keys) are compiled as templates; pydantic's message spans several lines.
        message = " ".join(str(error).split())[:200]
        raise SpecError(f"flow: {message}", where=where, line=part_line(lines or {}, "flow")) from None


def write_spec(path: Path, spec: MappingSpec) -> str:
    """Write the canonical text in one step and give it back.

    Raises:
        OSError: The folder cannot be written.
    """
    text = dump_spec(spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return text
