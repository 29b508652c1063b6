"""Profiles of sample files, small or big, and of records fetched from a live system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

from connectors.errors import ConnectorError
from mapper_ai.core.profile import Profile, profile_records
from mapper_ai.core.relations import relations_between
from mapper_ai.errors import InputError
from mapper_ai.services.bigprofile import is_big, profile_files
from mapper_ai.services.sampling import SampleError, choose, iter_samples, sample_files
from sync.connections import open_clarity, open_freshbooks
from sync.errors import SyncError
from sync.settings import Settings, load_settings
from sync.store import open_store

# Of a live system this many times the wanted records are looked at, so that the sample is no mere first page.
_LOOK_AT: Final = 20


def profile_paths(paths: Sequence[str | Path]) -> Profile:
    """The profile of all records in the files and folders; DuckDB counts where there is much.

    Raises:
        SampleError: A file is missing, malformed, or holds no record; with the line where one is to blame.
    """
    files = [file for path in paths for file in sample_files(path)]
    if is_big(files):
        found = profile_files(files)
        if found is not None:
            return found
    return _profiled((record for file in files for record in iter_samples(file)), str(paths[0]))


def profile_entities(paths: Sequence[str | Path]) -> tuple[dict[str, Profile], dict[str, tuple[Any, ...]]]:
    """A profile for each kind of record, and what they point at among each other.

    `order__plain.json` and `orders.ndjson` are of the kind order.

    Raises:
        SampleError: As profile_paths.
    """
    groups: dict[str, list[Path]] = {}
    for path in paths:
        for file in sample_files(path):
            groups.setdefault(entity_of_file(file), []).append(file)
    profiles = {name: profile_paths(files) for name, files in sorted(groups.items())}
    return profiles, dict(relations_between(profiles))


def entity_of_file(path: Path) -> str:
    """The kind of record that a file's name tells."""
    stem = path.name.partition(".")[0].partition("__")[0].lower()
    if stem.endswith("ies"):
        return stem[:-3] + "y"
    return stem[:-1] if stem.endswith("s") and not stem.endswith("ss") else stem


def _profiled(records: Iterable[Mapping[str, Any]], where: str) -> Profile:
    try:
        return profile_records(records)
    except SampleError:
        raise
    except ValueError as error:
        raise SampleError(str(error), where=where) from None


def fetch_samples(system: str, entity: str, limit: int, *, settings: Settings | None = None) -> list[dict[str, Any]]:
    """Records of a connected system, read by GET; the same ones again as long as the system holds the same.

    Of at most 20 times as many records as wanted, those with the smallest hash of their id are taken.

    Raises:
        InputError: The system is not connected, does not answer, or has no such records.
    """
    rows: list[Mapping[str, Any]]
    try:
        found = settings or load_settings()
        with closing(_opened(system, found)) as source:
            rows = choose(islice(_listed(source, system, entity), limit * _LOOK_AT), limit)
    except (SyncError, ConnectorError) as error:
        raise InputError(f"{system}:{entity}: {error}") from None
    except (ValueError, KeyError) as error:
        raise InputError(f"{system}:{entity}: {str(error).strip(chr(39))}") from None
    if not rows:
        raise InputError(f"{system}:{entity}: there are no records yet")
    return [dict(row) for row in rows]


def _opened(system: str, settings: Settings) -> Any:
    if system == "freshbooks":
        return open_freshbooks(settings, lambda: open_store(settings.store_url))
    client = open_clarity(settings)
    if client is None or not system.startswith(settings.source_system.name.partition("-")[0]):
        raise InputError(
            f"{system}: is not connected; set CLARITY_API_URL, CLARITY_CLIENT_ID and CLARITY_CLIENT_SECRET"
        )
    return client


def _listed(source: Any, system: str, entity: str) -> Iterable[Mapping[str, Any]]:
    list_of: Callable[..., Iterable[Mapping[str, Any]]]
    if system == "freshbooks":
        # Invoices come without lines unless they are asked for.
        return source.find(entity, {}, include=("lines",) if entity in ("invoice", "credit_note") else ())  # type: ignore[no-any-return]
    list_of = source.list_updated
    return list_of(entity, None)
