"""The deployment files say what the commands understand: nothing here can be started, so everything is read."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from sync.__main__ import build_parser
from sync.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted(path.name for path in DEPLOY.glob("*.service"))


HELP = build_parser().format_help()
with_workers = pytest.mark.skipif(
    not re.search(r"^\s+work\b", HELP, re.MULTILINE), reason="this runner has no further workers"
)


def docker_instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    lines = re.sub(r"\\\n\s*", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines.splitlines() if line.strip()]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return found


def unit(name: str) -> dict[str, dict[str, list[str]]]:
    """Sections of a unit; a key may stand several times."""
    sections: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    for number, line in enumerate((DEPLOY / name).read_text("utf-8").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            current = sections.setdefault(line.strip("[]"), {})
            continue
        key, equals, value = line.partition("=")
        assert equals and re.fullmatch("[A-Z][A-Za-z]+", key), f"{name}:{number}: {line}"
        current.setdefault(key, []).append(value)
    return sections


def command_lines() -> dict[str, list[str]]:
    """Arguments of mapper-sync in every file, by where they stand."""
    found = {"Dockerfile": yaml.safe_load(next(value for key, value in docker_instructions() if key == "CMD"))}
    for name, service in compose()["services"].items():
        if "command" in service:
            found[f"compose {name}"] = service["command"]
    for name in UNITS:
        (line,) = unit(name)["Service"]["ExecStart"]
        found[name] = line.split()[1:]
    return found


@with_workers
@pytest.mark.parametrize("where", command_lines())
def test_every_command_line_is_understood(where: str) -> None:
    arguments = build_parser().parse_args(command_lines()[where])
    assert arguments.command in ("serve", "work")
    assert str(arguments.config).startswith("/etc/mapper/")


@with_workers
@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*.toml")), ids=lambda path: path.name)
def test_every_settings_file_is_understood(path: Path) -> None:
    assert tomllib.loads(path.read_text("utf-8"))
    load_settings({}, path)


def test_the_image_runs_as_nobody_in_particular_and_says_how_it_is() -> None:
    instructions = docker_instructions()
    last = [index for index, (key, _) in enumerate(instructions) if key == "FROM"][-1]
    final = dict(instructions[last:])
    assert final["USER"].isdigit() and int(final["USER"]) > 0
    assert "/readyz" in final["HEALTHCHECK"] and "python" in final["HEALTHCHECK"]  # the image has no curl
    assert final["FROM"].endswith("-slim")
    assert final["ENTRYPOINT"] == '["mapper-sync"]'
    assert not re.search(r"apt-get|gcc|build-essential", " ".join(value for _, value in instructions[last:]))
    assert not [
        key for key, value in instructions if key in ("ENV", "ARG") and re.search("SECRET|TOKEN|PASSWORD", value)
    ]


def test_what_is_copied_into_the_image_is_there() -> None:
    for key, value in docker_instructions():
        if key == "COPY" and not value.startswith("--from"):
            assert [name for name in value.split()[:-1] if not (ROOT / name).exists()] == []
    kept = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert [name[1:] for name in kept if name.startswith("!") and not (ROOT / name[1:]).exists()] == []


def test_compose_has_a_store_an_ingress_and_two_workers() -> None:
    services = compose()["services"]
    assert set(services) == {"store", "ingress", "worker"}
    assert services["worker"]["deploy"]["replicas"] == 2
    assert services["ingress"]["ports"] == ["127.0.0.1:8790:8790"]
    for name in ("ingress", "worker"):
        assert services[name]["depends_on"]["store"]["condition"] == "service_healthy"
        assert services[name]["read_only"] is True and services[name]["cap_drop"] == ["ALL"]
        for volume in services[name]["volumes"]:
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists(), source
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    assert "PASSWORD: ${" in text and not re.search(r"(PASSWORD|SECRET|TOKEN)\w*: +[^$\s{]", text)
    settings = {name: tomllib.loads((DEPLOY / name).read_text("utf-8")) for name in ("ingress.toml", "mapper.toml")}
    assert settings["ingress.toml"]["runner"]["workers"] == 0 < settings["mapper.toml"]["runner"]["workers"]


@pytest.mark.parametrize("name", UNITS)
def test_units_are_hardened_and_wait_for_the_write_in_hand(name: str) -> None:
    strict = configparser.ConfigParser(interpolation=None, strict=False, allow_no_value=False)
    strict.optionxform = str  # type: ignore[assignment, method-assign]
    strict.read_string((DEPLOY / name).read_text("utf-8"))
    service = unit(name)["Service"]
    wanted = {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes", "User": "mapper"}
    assert {key: service[key][0] for key in wanted} == wanted
    assert service["CapabilityBoundingSet"] == [""]
    assert int(service["TimeoutStopSec"][0]) >= 30
    assert set(unit(name)) == {"Unit", "Service", "Install"}


def test_the_example_of_secrets_holds_none() -> None:
    lines = (DEPLOY / "env.example").read_text("utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#") and not line.endswith("=")] == []
