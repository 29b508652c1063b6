"""[llm] of mapper.toml and the two variables: what is taken, and one line for what is not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from mapper_ai.llm.errors import LlmError, NotSetUpError
from mapper_ai.llm.settings import OPENAI_URL, load_llm_settings

KEY = {"OPENAI_API_KEY": "sk-secret"}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mapper.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_whole_section(tmp_path: Path) -> None:
    text = """
    [llm]
    model = "m"
    values = "none"
    [llm.budget]
    tokens = 1000
    cost = 0.5
    [llm.prices.m]
    input = 0.15
    output = "0.60"
    """
    settings = load_llm_settings({**KEY, "OPENAI_BASE_URL": "http://127.0.0.1:1/v1/"}, written(tmp_path, text))
    assert settings.base_url == "http://127.0.0.1:1/v1"
    assert settings.price is not None and settings.price.output == Decimal("0.60")
    assert settings.budget.cost == Decimal("0.5")
    assert "sk-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "env", "error", "says"),
    [
        ("[llm]\nmodle = 'x'", KEY, LlmError, "llm.modle: unknown key; known here:"),
        ("[llm]\nmodel = 'x'\ntimeout_s = -1", KEY, LlmError, "llm.timeout_s"),
        ("[llm]\nmodel = 'x'\nmode = 'yaml'", KEY, LlmError, "llm.mode"),
        ("[llm]\nmodel = 'x'\napi_key = 'k'", KEY, LlmError, "set OPENAI_API_KEY instead"),
        ("[llm]\nmodel = 'x'\n[llm.budget]\ncost = 1", KEY, LlmError, "needs the price of x"),
        ("llm = 3", KEY, LlmError, "expected a section"),
        ("[llm", KEY, LlmError, "not valid TOML"),
        ("[llm]\nmodel = 'x'", {"OPENAI_BASE_URL": "ftp://x", **KEY}, LlmError, "OPENAI_BASE_URL"),
        ("[llm]\nmodel = 'x'", {"OPENAI_BASE_URL": "https://u:p@x.example/v1"}, LlmError, "OPENAI_API_KEY instead"),
        ("", KEY, NotSetUpError, "set model in [llm]"),
        ("[llm]\nmodel = 'x'", {}, NotSetUpError, "OPENAI_API_KEY is not set"),
    ],
)
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, text: str, env: dict[str, str], error: type[LlmError], says: str
) -> None:
    with pytest.raises(error, match=r"^[^\n]*$") as caught:
        load_llm_settings(env, written(tmp_path, text))
    assert says in str(caught.value)


def test_a_local_endpoint_needs_no_key(tmp_path: Path) -> None:
    settings = load_llm_settings({"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}, written(tmp_path, "[llm]\nmodel='x'"))
    assert settings.api_key is None and settings.base_url != OPENAI_URL
