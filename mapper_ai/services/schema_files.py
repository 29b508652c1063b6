"""JSON Schema and OpenAPI files as an end of a mapping: `FILE`, or `FILE#ENTITY` where a file describes several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from connectors.profiles import ContractField, parse_profile
from mapper_ai.errors import InputError
from mapper_ai.services.new_systems import from_json_schema, from_openapi, profile_text

_SUFFIXES: Final = (".json", ".yaml", ".yml")
# What tells a schema from a record, looked for near the beginning: a record may be as big as it likes.
_HEAD_BYTES: Final = 64 * 1024
_OPENAPI: Final = re.compile(r"""^\s*\{?\s*["']?(?:openapi|swagger)["']?\s*:""", re.MULTILINE)
_SCHEMA: Final = re.compile(r"""["']?\$schema["']?\s*:\s*["']?https?://json-schema\.org/""")
_PLAIN: Final = re.compile(r"""["']?type["']?\s*:\s*["']?object["']?""")
_PROPERTIES: Final = re.compile(r"""["']?properties["']?\s*:\s*(?:\{|\n)""")


def is_schema(name: str) -> bool:
    """Whether a name stands for a file that describes records instead of holding them."""
    path = _split(name)[0]
    if not path.is_file() or path.suffix.lower() not in _SUFFIXES:
        return False
    if path.suffix.lower() != ".json":
        return True  # records are never kept as YAML
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    if not head.lstrip("\ufeff \r\n\t").startswith("{"):
        return False
    return bool(_OPENAPI.search(head) or _SCHEMA.search(head) or (_PLAIN.search(head) and _PROPERTIES.search(head)))


def schema_fields(name: str) -> tuple[str, list[ContractField]]:
    """The entity a schema file describes, and its fields.

    Raises:
        InputError: The file cannot be read, or describes several entities and none is chosen; they are listed.
    """
    path, chosen = _split(name)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES).decode("utf-8", "replace")
    only: Sequence[str] = (chosen,) if chosen else ()
    described = from_openapi(path, only=only) if _OPENAPI.search(head) else from_json_schema(path, only=only)
    if len(described.entities) != 1:
        known = ", ".join(sorted(described.entities)) or "none"
        raise InputError(f"{path}: describes several kinds of record; choose one as {path}#NAME: {known}")
    (entity,) = described.entities
    # By way of a system profile, so that a file says the same whether it was added as a system or not.
    fields = [entry for entry in parse_profile("file", profile_text("file", described)).fields(entity) if entry.path]
    if not fields:
        raise InputError(f"{path}: {entity} describes no field")
    return entity, fields


def _split(name: str) -> tuple[Path, str]:
    """(file, entity): a `#` that belongs to the file's name stays there."""
    if "#" in name and not Path(name).exists():
        file, _, entity = name.rpartition("#")
        return Path(file), entity
    return Path(name), ""
