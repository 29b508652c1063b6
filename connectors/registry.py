"""Every system this installation knows: the shipped profiles, own ones in a folder, and those of installed plug-ins.

A plug-in is a package with an entry point of the group `mapper_ai.systems`; the entry point's name is the system's,
and the module it names has `PROFILE`, the name of a YAML file beside it, and may have `connect` (see `Source`).
A shipped name cannot be taken by others, an own profile goes before a plug-in's. What cannot be used is one warning.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib import import_module, metadata, resources
from pathlib import Path
from typing import Any, Final, Protocol

import yaml
from pydantic import ValidationError

from connectors.corrections import SettingError, corrected
from connectors.kinds import did_you_mean
from connectors.profiles import SystemProfile, list_systems, load_profile, parse_profile
from connectors.systems_config import ProfileError, SystemsConfig, config_path, read_systems

GROUP: Final = "mapper_ai.systems"
NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_PROFILE_BYTES: Final = 8 * 1024 * 1024


class Source(Protocol):
    """A system that records are read from; what `connect` of a plug-in returns.

    It raises the classes of `connectors.errors` and nothing else for what can go wrong at the other end.
    """

    def list_updated(self, entity: str, since: datetime | None) -> Iterator[dict[str, Any]]:
        """Every record updated at or after an aware instant; None for all."""
        ...

    def get(self, entity: str, id: int | str) -> dict[str, Any]:  # noqa: A002  the word of every API
        """One record; RejectedError with status 404 for an unknown id."""
        ...

    def close(self) -> None:
        """Close kept connections."""
        ...


Connect = Callable[[SystemProfile, Mapping[str, str], float], Source]
"""`connect(profile, environ, timeout_s)`: opens the source; environ holds the process's variables, secrets too."""


@dataclass(frozen=True)
class Known:
    """One system and where it comes from: `shipped`, a file, or `plug-in PACKAGE VERSION`."""

    name: str
    origin: str
    profile: SystemProfile = field(repr=False)
    connect: Connect | None = field(default=None, repr=False)


class Registry:
    """All systems as one configuration sees them; read once, shared, not changed."""

    def __init__(self, config: SystemsConfig) -> None:
        """Read folder and plug-ins.

        Raises:
            ProfileError: A correction does not fit. (A profile that cannot be used is a warning instead.)
        """
        self.config = config
        self.warnings: list[str] = []
        found = {name: Known(name, "shipped", load_profile(name)) for name in list_systems()}
        for known in (*self._own(), *self._plugged()):
            if known.name in found:
                taken = found[known.name].origin
                self.warnings.append(f"{known.origin}: the name {known.name} is taken ({taken}); rename this one")
            else:
                found[known.name] = known
        self._known = {name: self._corrected(known) for name, known in found.items()}
        for name in config.corrections:
            if name not in found:
                near = did_you_mean(name, found)
                place = config.place("systems", name)
                raise ProfileError(f"{place}: systems.{name}: expected one of {', '.join(sorted(found))}{near}")

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._known)

    def get(self, name: str) -> Known:
        """A system by name.

        Raises:
            ProfileError: Unknown; the message lists the known ones.
        """
        if name not in self._known:
            near = did_you_mean(name, self._known)
            raise ProfileError(f"unknown system {name!r}; known: {', '.join(self.names())}{near}")
        return self._known[name]

    def _own(self) -> Iterator[Known]:
        for path in sorted(self.config.folder.glob("*.yaml")):
            if NAME.fullmatch(path.stem) is None:
                self.warnings.append(f"{path}: expected a name of small letters, digits and hyphens before .yaml")
                continue
            try:
                yield Known(path.stem, str(path), read_profile(path))
            except ProfileError as error:
                self.warnings.append(str(error))

    def _plugged(self) -> Iterator[Known]:
        for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
            package = f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown package"
            origin = f"plug-in {package}"
            try:
                yield _load_plugin(point, origin)
            except Exception as error:  # another's code: whatever it raises is one line, and nobody else's trouble
                told = " ".join(str(error).split())[:200]
                why = told if isinstance(error, ProfileError) else f"{type(error).__name__}: {told}"
                self.warnings.append(f"{origin}: the system {point.name} is left out: {why}")

    def _corrected(self, known: Known) -> Known:
        profile = known.profile
        for name, value in self.config.corrections.get(known.name, {}).items():
            place = self.config.place("systems", known.name, "settings", name)
            try:
                profile = corrected(profile, {name: value}, origin=place)
            except SettingError as error:
                keys = error.key.split(".")
                place = self.config.place("systems", known.name, "settings", *keys)
                raise ProfileError(
                    f"{place}: systems.{known.name}.settings.{error.key}: expected {error.expected}"
                ) from None
        return Known(known.name, known.origin, profile, known.connect)


def registry(config: Path | None = None) -> Registry:
    """The registry of a configuration file, or of the one the environment names; read anew when something changed.

    Raises:
        ProfileError: The file or a correction in it does not fit.
    """
    path = config or config_path()
    read = read_systems(path)
    stamps = tuple((str(file), *_stamp(file)) for file in sorted(read.folder.glob("*.yaml")))
    return _made((str(path.absolute()), read.text, stamps, tuple(sys.path)), _Unhashed(read))


def load_system(name: str) -> SystemProfile:
    """A profile as the environment's configuration has it.

    Raises:
        ProfileError: Unknown, or the configuration does not fit.
    """
    return registry().get(name).profile


def has_entity(name: str, entity: str) -> bool:
    """Whether a system is known and has this entity."""
    found = registry()
    return name in found.names() and entity in found.get(name).profile.entities


def read_profile(path: Path) -> SystemProfile:
    """Read one profile from a file.

    Raises:
        ProfileError: With file, and line or member.
    """
    try:
        if path.stat().st_size > MAX_PROFILE_BYTES:
            raise ProfileError(f"{path}: larger than {MAX_PROFILE_BYTES // 2**20} MiB; a profile is smaller")
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path}: cannot be read ({type(error).__name__})") from None
    return _parsed(path.stem, text, str(path))


def _parsed(name: str, text: str, where: str) -> SystemProfile:
    try:
        return parse_profile(name, text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ProfileError(f"{where}{line}: not YAML: {getattr(error, 'problem', None) or 'unreadable'}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ProfileError(f"{where}: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProfileError(f"{where}: not a system profile ({type(error).__name__}: {str(error)[:120]})") from None


def _load_plugin(point: metadata.EntryPoint, origin: str) -> Known:
    if NAME.fullmatch(point.name) is None:
        raise ProfileError("its name must be small letters, digits and hyphens")
    module = point.load() if point.attr else import_module(point.module)
    resource = getattr(module, "PROFILE", None)
    if not isinstance(resource, str):
        raise ProfileError(f"{point.value} has no PROFILE, the name of a YAML file beside it")
    package = module.__name__ if hasattr(module, "__path__") else module.__name__.rpartition(".")[0]
    text = resources.files(package or module).joinpath(resource).read_text("utf-8")
    connect = getattr(module, "connect", None)
    if connect is not None and not callable(connect):
        raise ProfileError(f"{point.value}: connect cannot be called")
    return Known(point.name, origin, _parsed(point.name, text, resource), connect)


class _Unhashed:
    """Takes a value along into a cached call without being part of its key."""

    def __init__(self, value: SystemsConfig) -> None:
        self.value = value

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Unhashed)


@lru_cache(maxsize=8)
def _made(_key: Any, config: _Unhashed) -> Registry:
    return Registry(config.value)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
