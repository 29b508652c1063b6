"""Writes findings into a TOML file: one section is replaced, everything else stays as it was, to the byte."""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from sync.doctor.finding import Finding
from sync.errors import InputError

NOTE = "# Written by mapper-sync doctor; the next examination writes this section anew."
_HEADER = re.compile(r"^\s*\[{1,2}\s*(?P<name>[^\[\]#]+?)\s*\]{1,2}\s*(#.*)?$")


def settings_of(
    findings: Sequence[Finding], before: Mapping[str, Any], common: Mapping[str, Any], today: date
) -> dict[str, Any]:
    """The section's content: what was found now, and what an earlier examination found and this one did not ask.

    Args:
        before: The section as it stands; empty for another account.
        common: date, account, url.
    """
    content: dict[str, Any] = {name: value for name, value in before.items() if name not in common}
    content = {name: dict(value) if isinstance(value, Mapping) else value for name, value in content.items()}
    checked: dict[str, Any] = content.setdefault("checked", {})
    for found in findings:
        if found.setting is None or found.value is None:
            continue
        name, _, key = found.setting.partition(".")
        if key:
            content.setdefault(name, {})[key] = found.value
        else:
            content[name] = found.value
        checked[found.setting] = today
    return {**common, **content}


def read_section(path: Path, system: str) -> dict[str, Any]:
    """The section as it stands; empty when there is no file or none in it.

    Raises:
        InputError: The file is no TOML.
    """
    found = _parsed(_text(path), path).get("systems", {})
    section = found.get(system, {}) if isinstance(found, Mapping) else {}
    findings = section.get("findings", {}) if isinstance(section, Mapping) else {}
    return dict(findings) if isinstance(findings, Mapping) else {}


def write_section(path: Path, system: str, content: Mapping[str, Any]) -> None:
    """Replace the section of a system, or add it at the end; the file is replaced as a whole or not at all.

    Raises:
        InputError: The file is no TOML, cannot be written, or holds the section in a form that cannot be replaced.
    """
    path = path.resolve()  # a link stays one
    before = _text(path)
    newline = "\r\n" if "\r\n" in before else "\n"
    name = f"systems.{system}.findings"
    text = _replaced(before, name, newline.join(_rendered(name, content)), newline)
    parsed = _without(_parsed(before, path), system)
    try:
        intact = _without(tomllib.loads(text), system) == parsed
    except tomllib.TOMLDecodeError:
        intact = False
    if not intact:
        raise InputError(f"{path}: write the section as [{name}] and nothing else by that name, so that it can be kept")
    _write(path, text)


def _rendered(name: str, content: Mapping[str, Any]) -> list[str]:
    tables = {key: value for key, value in content.items() if isinstance(value, Mapping)}
    lines = [NOTE, f"[{name}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in content.items() if key not in tables]
    for key, members in tables.items():
        if members:
            lines += ["", f"[{name}.{key}]"]
            lines += [f"{_key(member)} = {_value(value)}" for member, value in sorted(members.items())]
    return lines


def _replaced(text: str, name: str, block: str, newline: str) -> str:
    lines = text.split(newline)
    inside = False
    kept: list[str] = []
    held: list[str] = []  # blank and comment lines, which belong to what follows them
    place: int | None = None
    for line in lines:
        header = _HEADER.match(line)
        if header is not None:
            title = header["name"].replace(" ", "")
            was_inside, inside = inside, title == name or title.startswith(f"{name}.")
            if not (was_inside and inside):  # between two of our own tables everything is ours
                kept += [one for one in held if one != NOTE or not inside]
            held = []
            if inside and place is None:
                place = len(kept)
            if not inside:
                kept.append(line)
        elif not line.strip() or line.lstrip().startswith("#"):
            held.append(line)
        elif inside:
            held = []
        else:
            kept += [*held, line]
            held = []
    kept += held
    if place is None:
        before = text.rstrip("\r\n")
        return (before + newline * 2 if before else "") + block + newline
    return newline.join([*kept[:place], *block.split(newline), *kept[place:]])


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in escaped) + '"'


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({type(error).__name__})") from None


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None


def _without(document: dict[str, Any], system: str) -> dict[str, Any]:
    """The document without the section, and without the tables that are empty then."""
    systems = document.get("systems")
    if not isinstance(systems, dict):
        return document
    rest = {
        name: {key: value for key, value in section.items() if not (name == system and key == "findings")}
        if isinstance(section, dict)
        else section
        for name, section in systems.items()
    }
    rest = {name: section for name, section in rest.items() if section != {}}
    return {
        **{key: value for key, value in document.items() if key != "systems"},
        **({"systems": rest} if rest else {}),
    }


def _write(path: Path, text: str) -> None:
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or type(error).__name__})") from None
