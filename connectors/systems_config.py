"""The `[systems]` section of mapper.toml: the folder of own profiles, the source that is polled, corrected settings.

[systems]
folder = "systems"                  # own profiles, beside mapper.toml unless absolute

[systems.clarity-rest.settings]
A21 = "America/Chicago"
A7.size = 50
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from connectors.kinds import did_you_mean

DEFAULT_CONFIG: Final = "mapper.toml"
DEFAULT_FOLDER: Final = "systems"
DEFAULT_SOURCE: Final = "clarity-rest"
_PART: Final = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_KEY: Final = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_TABLE: Final = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]")


class ProfileError(ValueError):
    """A profile, a plug-in or a correction that cannot be used; one line with file and place."""


@dataclass(frozen=True)
class SystemsConfig:
    """What mapper.toml says of systems.

    Attributes:
        where: The file; None when there is none.
        folder: Where own profiles are kept; it need not exist.
        source: The system that is polled and asked for records.
        corrections: System -> setting -> value as written.
    """

    where: Path | None = None
    folder: Path = Path(DEFAULT_FOLDER)
    source: str = DEFAULT_SOURCE
    corrections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    text: str = field(default="", repr=False)

    def place(self, *path: str) -> str:
        """`mapper.toml:7` for the line where a key stands; the file alone when it cannot be found."""
        line = _line_of(self.text, path)
        return f"{self.where}:{line}" if line else str(self.where)


def config_path(environ: Mapping[str, str] | None = None) -> Path:
    """The file that MAPPER_CONFIG names, else mapper.toml in the working folder; it need not exist."""
    named = (os.environ if environ is None else environ).get("MAPPER_CONFIG", "").strip()
    return Path(named or DEFAULT_CONFIG)


def read_systems(path: Path) -> SystemsConfig:
    """Read the section; a file that is not there says nothing.

    Raises:
        ProfileError: The file cannot be read, or a key is unknown.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return SystemsConfig(folder=path.parent / DEFAULT_FOLDER)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: cannot be read ({type(error).__name__})") from None
    return parse_systems(text, path)


def parse_systems(text: str, path: Path) -> SystemsConfig:
    """As `read_systems`, from the file's text.

    Raises:
        ProfileError: Not TOML, or a key is unknown or of the wrong kind.
    """
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{path}: not valid TOML: {error}") from None
    section = document.get("systems", {})
    config = SystemsConfig(where=path, text=text)
    if not isinstance(section, dict):
        raise ProfileError(f"{config.place('systems')}: systems: expected a table")
    told: dict[str, str] = {}
    corrections: dict[str, Mapping[str, Any]] = {}
    for name, value in section.items():
        where = config.place("systems", name)
        if name in ("folder", "source"):
            if not isinstance(value, str) or not value.strip():
                raise ProfileError(f"{where}: systems.{name}: expected a text")
            told[name] = value.strip()
        elif not isinstance(value, dict):
            near = did_you_mean(name, ("folder", "source"))
            raise ProfileError(f"{where}: systems.{name}: expected folder, source or the table of a system{near}")
        else:
            corrections[name] = _settings_of(config, name, value)
    return SystemsConfig(
        where=path,
        folder=path.parent / told.get("folder", DEFAULT_FOLDER),
        source=told.get("source", DEFAULT_SOURCE),
        corrections=corrections,
        text=text,
    )


def _settings_of(config: SystemsConfig, name: str, table: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of one system; other tables beside them are other parts' (findings of a probe, for instance)."""
    for key, value in table.items():
        near = did_you_mean(key, ("settings",))
        if key != "settings" and (near or not isinstance(value, dict)):
            place = config.place("systems", name, key)
            raise ProfileError(f"{place}: systems.{name}.{key}: settings stand below [systems.{name}.settings]{near}")
    settings = table.get("settings", {})
    if not isinstance(settings, dict):
        raise ProfileError(f"{config.place('systems', name, 'settings')}: systems.{name}.settings: expected a table")
    return settings


def _line_of(text: str, path: tuple[str, ...]) -> int | None:
    """1-based line of a key, or of the longest beginning of its path that stands there; None when nothing does."""
    best, depth = None, 0
    table: tuple[str, ...] = ()
    in_text = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if in_text:
            in_text = "" if in_text in line else in_text
            continue
        header, pair = _TABLE.match(line), _KEY.match(line)
        if header and not pair:
            table = _parts(header[1])
            found = table
        elif pair:
            found = (*table, *_parts(pair[1]))
            rest = line[pair.end() :].strip()
            in_text = next((mark for mark in ('"""', "'''") if rest.count(mark) == 1), "")
        else:
            continue
        shared = min(len(found), len(path))
        if found[:shared] == path[:shared] and shared > depth:
            best, depth = number, shared
    return best


def _parts(dotted: str) -> tuple[str, ...]:
    found = re.findall(r"""\s*(?:"([^"]*)"|'([^']*)'|([^.\s"']+))\s*(?:\.|$)""", dotted)
    return tuple(next(part for part in parts if part) for parts in found if any(parts))
