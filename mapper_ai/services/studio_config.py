"""The studio's own settings: where it keeps its things, and whether people have to sign in."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mapper_ai.errors import InputError
from mapper_ai.services.decisions import FILE
from mapper_ai.services.review.policy import Policy, read_policy

WORKSPACE: Final = ".mapper"
_CONFIG: Final = "mapper.toml"
_KEYS: Final = ("decisions", "sign_in")


def workspace_root(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of drafts, samples and the masking key (MAPPER_WORKSPACE, default `.mapper`)."""
    env = os.environ if environ is None else environ
    return Path(env.get("MAPPER_WORKSPACE") or WORKSPACE)


def decisions_file(environ: Mapping[str, str] | None = None) -> Path:
    """The file of decisions: `[studio] decisions` of mapper.toml, as seen from that file, else in the workspace.

    Raises:
        InputError: mapper.toml cannot be read, or its [studio] section does not fit.
    """
    env = os.environ if environ is None else environ
    config, section = _own_section(env)
    given = section.get("decisions")
    if given is None:
        return workspace_root(env) / FILE
    if not isinstance(given, str) or not given.strip():
        raise InputError(f"{config}: studio.decisions: expected the path of a file")
    return config.parent / Path(given).expanduser()


def studio_policy(environ: Mapping[str, str] | None = None) -> Policy:
    """Who may approve what: `[review]` of mapper.toml, the rules that `mapper review` judges a change by.

    Raises:
        InputError: mapper.toml cannot be read, or its [review] section does not fit.
    """
    env = os.environ if environ is None else environ
    config = Path(env.get("MAPPER_CONFIG") or _CONFIG)
    try:
        return read_policy(config.read_text("utf-8"), str(config))
    except FileNotFoundError:
        return Policy()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{config}: cannot be read ({type(error).__name__})") from None


def sign_in_demanded(environ: Mapping[str, str] | None = None) -> bool:
    """Whether nothing is shown or approved without signing in: `[studio] sign_in` of mapper.toml.

    Raises:
        InputError: mapper.toml cannot be read, or its [studio] section does not fit.
    """
    config, section = _own_section(os.environ if environ is None else environ)
    given = section.get("sign_in", False)
    if not isinstance(given, bool):
        raise InputError(f"{config}: studio.sign_in: expected true or false")
    return given


def _own_section(env: Mapping[str, str]) -> tuple[Path, dict[str, Any]]:
    named = env.get("MAPPER_CONFIG")
    config = Path(named or _CONFIG)
    return config, _section(config, must_exist=bool(named))


def _section(config: Path, *, must_exist: bool) -> dict[str, Any]:
    try:
        section = tomllib.loads(config.read_text("utf-8")).get("studio", {})
    except FileNotFoundError:
        if must_exist:
            raise InputError(f"{config}: no such file; MAPPER_CONFIG must name an existing mapper.toml") from None
        return {}
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{config}: not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{config}: cannot be read ({type(error).__name__})") from None
    if not isinstance(section, dict):
        raise InputError(f"{config}: studio: expected a section [studio]")
    unknown = sorted(section.keys() - set(_KEYS))
    if unknown:
        raise InputError(f"{config}: studio.{unknown[0]}: unknown key; known here: {', '.join(_KEYS)}")
    return section
