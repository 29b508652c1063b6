"""`mapper systems`: settings that mapper.toml corrects, profiles made from descriptions and samples, and plug-ins."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.registry import load_system, registry
from mapper_ai.__main__ import main
from sync.connections import open_clarity
from sync.errors import SettingsError
from sync.settings import load_settings
from tests.flows import MAPPINGS, ROOT

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Runs `mapper systems ...` in an empty folder; exit code and what it wrote on both streams."""
    monkeypatch.chdir(tmp_path)
    for name in ("MAPPER_CONFIG", "MAPPER_MAPPINGS"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: object) -> tuple[int, str, str]:
        code = main(["systems", *map(str, words)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "Acme Shop", "version": "1"},
    "servers": [{"url": "https://api.acme.example/v2"}],
    "paths": {
        "/orders": {
            "get": {"responses": {"200": {"$ref": "#/components/responses/Orders"}}},
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewOrder"}}}},
                "responses": {"201": {"description": "made"}},
            },
        },
        "/orders/{id}": {
            "get": {
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}
                }
            }
        },
    },
    "components": {
        "responses": {
            "Orders": {
                "content": {
                    "application/json": {
                        "schema": {
                            "type": "object",
                            "properties": {
                                "rows": {"type": "array", "items": {"$ref": "#/components/schemas/Order"}},
                                "page": {"type": "integer"},
                            },
                        }
                    }
                }
            }
        },
        "schemas": {
            "NewOrder": {
                "type": "object",
                "required": ["reference"],
                "properties": {
                    "reference": {"type": "string", "maxLength": 30},
                    "country": {"type": "string", "enum": ["NO", "SE"], "nullable": True},
                    "buyer": {
                        "oneOf": [{"$ref": "#/components/schemas/Person"}, {"$ref": "#/components/schemas/Firm"}]
                    },
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
                },
            },
            "Order": {
                "allOf": [
                    {"$ref": "#/components/schemas/NewOrder"},
                    {
                        "required": ["id"],
                        "properties": {
                            "id": {"type": "integer", "readOnly": True},
                            "placedAt": {"type": "string", "format": "date-time"},
                        },
                    },
                ]
            },
            "Person": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "Firm": {"type": "object", "properties": {"name": {"type": "string"}, "vat": {"type": "string"}}},
            "Part": {
                "type": "object",
                "properties": {
                    "sku": {"type": "string"},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
                },
            },
        },
    },
}


def written(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return path


def test_openapi_becomes_a_system_that_can_be_suggested_from(call: Call, tmp_path: Path) -> None:
    source = written(tmp_path / "acme.json", OPENAPI)
    assert call("add", "acme-shop", "--openapi", source)[0] == 0
    profile = load_system("acme-shop")
    fields = {field.path: field for field in profile.fields("order")}
    assert profile.base_url == "https://api.acme.example/v2"
    assert (profile.entity("order").path, profile.entity("order").list_key) == ("orders", "rows")
    assert profile.entity("order").aliases == ("GET /orders", "POST /orders", "GET /orders/{id}")
    assert (fields["reference"].required, fields["reference"].max_length) == (True, 30)
    assert fields["country"].enum == ("NO", "SE")
    assert fields["id"].read_only
    assert fields["placedAt"].read_only  # answered, and not to be sent
    assert fields["placedAt"].type == "instant"
    assert {"buyer.name", "buyer.vat", "parts[].sku"} <= set(fields)
    assert fields["parts[].parts[]"].note == "contains itself; left open"
    assert main(["suggest", "--source", "acme-shop:order", "--target", "freshbooks:invoice", "--json", "m.json"]) == 0
    found = {row["target"]: row["source"] for row in json.loads(Path("m.json").read_text()) if row["accepted"]}
    assert found["country"] == "country"


def test_the_same_description_in_yaml_gives_the_same_profile(call: Call, tmp_path: Path) -> None:
    import yaml

    call("add", "acme", "--openapi", written(tmp_path / "a.json", OPENAPI), "--out", tmp_path / "1.yaml")
    text = yaml.safe_dump(OPENAPI | {"openapi": "3.1.0"}, sort_keys=False)
    call("add", "acme", "--openapi", written(tmp_path / "a.yaml", text), "--out", tmp_path / "2.yaml")
    first, second = ((tmp_path / name).read_text().split("entities:")[1] for name in ("1.yaml", "2.yaml"))
    assert first == second


def test_json_schema_becomes_a_system(call: Call, tmp_path: Path) -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Sale",
        "type": "object",
        "required": ["total"],
        "properties": {
            "total": {"type": ["number", "null"]},
            "kind": {"const": "web"},
            "to": {"$ref": "#/definitions/p"},
        },
        "definitions": {"p": {"type": "object", "properties": {"mail": {"type": "string", "format": "email"}}}},
    }
    code, out, _ = call("add", "till", "--json-schema", written(tmp_path / "s.json", schema), "--json")
    assert (code, json.loads(out)["entities"]) == (0, {"sale": 3})
    fields = {field.path: field for field in load_system("till").fields("sale")}
    assert (fields["total"].type, fields["total"].required) == ("decimal", True)
    assert (fields["kind"].enum, fields["to.mail"].format) == (("web",), "email")


def test_samples_become_a_system_by_kind(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("add", "seen", "--samples", ROOT / "fixtures" / "clarity", "--entity", "order")
    assert (code, "1 entities: order" in out) == (0, True)
    fields = {field.path: field for field in load_system("seen").fields("order")}
    assert fields["id"].required
    assert not fields["notes"].required
    assert "lineItems[].sku" in fields


DEEP: dict[str, Any] = {"type": "object", "properties": {}}
inner = DEEP
for _ in range(300):
    inner["properties"]["a"] = {"type": "object", "properties": {}}
    inner = inner["properties"]["a"]
WIDE = {
    "$defs": {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(30)} | {"s30": {"type": "object"}},
    "$ref": "#/$defs/s0",
}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("none.json", None, "none.json: no such file"),
        ("broken.json", '{"a": 1,\n oops}', "broken.json:2: is not JSON"),
        ("broken.yaml", "a: [1\nb: }", "broken.yaml:2: is not YAML"),
        ("old.json", '{"swagger": "2.0"}', "old.json: #/openapi: expected OpenAPI 3.0 or 3.1, found swagger 2.0"),
        ("deep.yaml", "a: " + "[" * 5000, "deep.yaml:1: is nested too deeply"),
        ("dashes.yaml", "- " * 5000 + "a", "dashes.yaml:1: is nested too deeply"),
        ("deep.json", '{"a":' * 100_000, "deep.json: is nested too deeply"),
        ("empty.yaml", "", "empty.yaml: is empty"),
    ],
)
def test_a_bad_description_is_one_line(call: Call, tmp_path: Path, name: str, text: str | None, says: str) -> None:
    path = tmp_path / name
    if text is not None:
        written(path, text)
    code, _, err = call("add", "acme", "--openapi", path)
    assert (code, err.count("\n"), says in err) == (3, 1, True), err


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"$ref": "https://evil.example/s.json"}, "only references inside the file (#/…) are followed"),
        ({"properties": {"a": {"$ref": "other.json#/x"}}}, "s.json: #/properties/a: refers to 'other.json#/x'"),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, "which is not in the file"),
        ({"properties": {"a": {"type": "money"}}}, "#/properties/a/type: expected one of object, array"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "refers to itself"),
        ({"properties": {f"f{n}": {"type": "string"} for n in range(6000)}}, "more than 5000 fields"),
        (WIDE, "combines more schemas than can be followed"),
    ],
)
def test_a_hostile_schema_is_refused_in_one_line(call: Call, tmp_path: Path, schema: Any, says: str) -> None:
    code, _, err = call("add", "acme", "--json-schema", written(tmp_path / "s.json", schema))
    assert (code, err.count("\n"), says in err) == (3, 1, True), err


def test_a_deep_schema_is_left_open_where_it_gets_too_deep(call: Call, tmp_path: Path) -> None:
    assert call("add", "deep", "--json-schema", written(tmp_path / "s.json", DEEP))[0] == 0
    (field,) = load_system("deep").fields("s")
    assert field.note == "deeper than 12 levels; left open"


def test_a_name_is_not_taken_twice(call: Call, tmp_path: Path) -> None:
    source = written(tmp_path / "acme.json", OPENAPI)
    assert call("add", "freshbooks", "--openapi", source)[0] == 2
    assert call("add", "Acme Shop", "--openapi", source)[0] == 2
    assert call("add", "acme", "--openapi", source)[0] == 0
    code, _, err = call("add", "acme", "--openapi", source)
    assert (code, "exists already" in err) == (2, True)


TOML = """[systems]
folder = "own"

[systems.clarity-rest.settings]
A21 = "America/Chicago"
A7.size = 20
"""


def test_corrections_are_shown_with_their_place_and_where_a_mapping_disagrees(call: Call, tmp_path: Path) -> None:
    written(tmp_path / "mapper.toml", TOML)
    code, out, err = call("show", "clarity-rest", "--settings", "--mappings", MAPPINGS)
    assert code == 0
    assert "A21  America/Chicago" in out
    assert "from mapper.toml:5; source assumption; read by connector, inbox, mapping" in out
    assert "from mapper.toml:6" in out
    assert max(map(len, out.splitlines())) <= 100
    assert "order-to-invoice, settings.timezone: as_written; setting A21 says America/Chicago" in err
    told = json.loads(call("show", "clarity-rest", "--json")[1])
    assert list(told["settings"])[:47] == [f"A{number}" for number in range(1, 48)]
    assert told["settings"]["A7"]["value"]["size"] == 20
    assert load_settings({}, tmp_path / "mapper.toml").profile.assumed("A7", "size") == 20


def test_one_entity_is_shown_field_by_field(call: Call) -> None:
    out = call("show", "freshbooks", "client")[1]
    assert "read-only" in out
    assert max(map(len, out.splitlines())) <= 100
    code, _, err = call("show", "fresbooks")
    assert (code, 'did you mean "freshbooks"?' in err) == (3, True)
    assert call("show", "freshbooks", "nothing")[0] == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[systems.clarity-rest.settings]\n\nA21 = "Chicago"\n',
            "toml:3: systems.clarity-rest.settings.A21: expected a time",
        ),
        (
            "[systems.clarity-rest.settings]\nA7.sice = 5\n",
            "toml:2: systems.clarity-rest.settings.A7.sice: expected one",
        ),
        ("[systems.clarity-rest.settings]\nA7 = {size = 0}\n", "A7.size: expected a whole number from 1 to 10000"),
        ("[systems.clarity-rest.settings]\nA77 = 1\n", 'did you mean "A7"?'),
        ("[systems.clarity-rest.setings]\nA7 = 1\n", 'did you mean "settings"?'),
        ("[systems.clarity-rset.settings]\nA7 = 1\n", 'did you mean "clarity-rest"?'),
        ("[systems.clarity-rest.settings]\nA45 = 'x'\n", "expected this under [systems.clarity-cef.settings]"),
        ("[systems]\nfoldr = 'x'\n", 'did you mean "folder"?'),
        ("[systems]\nfolder = 3\n", "mapper.toml:2: systems.folder: expected a text"),
    ],
)
def test_a_correction_that_does_not_fit_is_one_line(call: Call, tmp_path: Path, text: str, says: str) -> None:
    written(tmp_path / "mapper.toml", text)
    code, _, err = call("show", "clarity-rest")
    assert (code, err.count("\n"), says in err) == (3, 1, True), err
    with pytest.raises(SettingsError, match=r"mapper\.toml:"):
        load_settings({}, tmp_path / "mapper.toml")


MODULE = """
PROFILE = "shop.yaml"


class Source:
    def __init__(self, title):
        self.title = title

    def list_updated(self, entity, since):
        yield {"id": 1, "entity": entity, "title": self.title}

    def get(self, entity, id):
        return {"id": id}

    def close(self):
        pass


def connect(profile, environ, timeout_s):
    if "ACME_TOKEN" not in environ:
        raise ValueError("ACME_TOKEN is not set")
    return Source(profile.title)
"""
PROFILE = """version: '1'
title: Acme
entities:
  order:
    path: o
    contract: {type: object, properties: {id: {type: string}}}
"""


def plugin(folder: Path, name: str, module: str, *, profile: str = PROFILE, system: str = "acme-plug") -> None:
    """What pip leaves behind for a package: its folder, and a dist-info that names the entry point."""
    package = folder / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(module)
    (package / "shop.yaml").write_text(profile)
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[mapper_ai.systems]\n{system} = {name}\n")


def test_a_plug_in_offers_a_system_and_a_source(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin(tmp_path / "site", "mapper_acme_good", MODULE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert "from plug-in mapper_acme_good 1.2" in call("list")[1]
    written(tmp_path / "mapper.toml", '[systems]\nsource = "acme-plug"\n')
    monkeypatch.setenv("ACME_TOKEN", "t")
    source = open_clarity(load_settings({}, tmp_path / "mapper.toml"))
    assert source is not None
    assert list(source.list_updated("order", None)) == [{"id": 1, "entity": "order", "title": "Acme"}]
    monkeypatch.delenv("ACME_TOKEN")
    with pytest.raises(SettingsError, match="acme-plug cannot be opened: ACME_TOKEN is not set"):
        open_clarity(load_settings({}, tmp_path / "mapper.toml"))


@pytest.mark.parametrize(
    ("name", "module", "profile", "system", "says"),
    [
        ("mapper_acme_raises", "raise RuntimeError('no\\nluck')", PROFILE, "acme-plug", "RuntimeError: no luck"),
        ("mapper_acme_silent", "", PROFILE, "acme-plug", "has no PROFILE"),
        ("mapper_acme_yaml", MODULE, "a: [", "acme-plug", "not YAML"),
        ("mapper_acme_shape", MODULE, "title: x", "acme-plug", "not a system profile"),
        ("mapper_acme_name", MODULE, PROFILE, "Acme", "small letters"),
        ("mapper_acme_taken", MODULE, PROFILE, "freshbooks", "the name freshbooks is taken"),
    ],
)
def test_a_broken_plug_in_is_one_warning(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    module: str,
    profile: str,
    system: str,
    says: str,
) -> None:
    plugin(tmp_path / "site", name, module, profile=profile, system=system)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    code, out, err = call("list")
    assert (code, err.count("\n"), says in err, f"plug-in {name} 1.2" in err) == (0, 1, True, True), err
    assert "freshbooks" in out
    assert load_system("clarity-rest").system == "clarity-rest"


def test_a_broken_own_profile_is_one_warning(call: Call, tmp_path: Path) -> None:
    (tmp_path / "systems").mkdir()
    written(tmp_path / "systems" / "mine.yaml", "version: '1'\ntitle: [\n")
    code, _, err = call("list")
    assert (code, "systems/mine.yaml:3: not YAML" in err) == (0, True), err
    written(tmp_path / "systems" / "mine.yaml", PROFILE)
    assert "mine" in registry().names()  # seen without a new start
