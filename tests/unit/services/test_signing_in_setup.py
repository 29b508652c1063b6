"""What is wrong with a set-up for signing in is said in one line, before anybody is sent to a provider."""

from __future__ import annotations

from typing import Any

import pytest

from mapper_ai.errors import InputError
from mapper_ai.services.signing_in import check_address, check_auth, check_provider
from mapper_ai.services.studio_config import sign_in_demanded
from tests.oidc_stub import running_provider

AUTH = {
    "redirect_uri": "https://mapper.example.com/oauth2callback",
    "cookie_secret": "0123456789abcdef" * 2,
    "client_id": "mapper",
    "client_secret": "hush",
    "server_metadata_url": "https://login.example.com/.well-known/openid-configuration",
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"client_id": ""}, r"auth\.client_id: missing"),
        ({"client_secret": 7}, r"auth\.client_secret: missing"),
        ({"cookie_secret": "short"}, r"auth\.cookie_secret: shorter than 32 characters"),
        ({"redirect_uri": "mapper.example.com/oauth2callback"}, r"auth\.redirect_uri: expected an address with http"),
        ({"redirect_uri": "https://mapper.example.com/"}, r"auth\.redirect_uri: .* /oauth2callback at its end"),
        ({"server_metadata_url": "file:///etc"}, r"auth\.server_metadata_url: expected an address with http"),
    ],
)
def test_a_set_up_nobody_could_sign_in_with_is_refused(changed: dict[str, Any], said: str) -> None:
    check_auth(AUTH)
    check_auth({**AUTH, "redirect_uri": "http://127.0.0.1:{port}/oauth2callback"})
    with pytest.raises(InputError, match=said) as refused:
        check_auth({**AUTH, **changed})
    assert "\n" not in str(refused.value)
    assert "short" not in str(refused.value).split(":")[-1]


def test_signing_in_starts_where_the_provider_sends_back() -> None:
    for fits in ("https://mapper.example.com/review", ""):
        check_address(AUTH, fits)
    with pytest.raises(InputError, match=r"open the app at https://mapper\.example\.com: "):
        check_address(AUTH, "http://127.0.0.1:8501/")


def test_what_is_no_provider_is_told_from_one_that_does_not_answer() -> None:
    with running_provider({}) as provider:
        right = f"{provider.url}/.well-known/openid-configuration"
        check_provider({"server_metadata_url": right})
        for path, said in (("/other", "answers with 404"), ("/jwks", "is no OpenID Connect provider")):
            with pytest.raises(InputError, match=said):
                check_provider({"server_metadata_url": provider.url + path})
    with pytest.raises(InputError, match="does not answer"):
        check_provider({"server_metadata_url": right})


def test_signing_in_is_demanded_in_mapper_toml(tmp_path: Any) -> None:
    config = tmp_path / "mapper.toml"
    environ = {"MAPPER_CONFIG": str(config)}
    for text, demanded in (("", False), ("[studio]\nsign_in = true\n", True), ("[studio]\nsign_in = false\n", False)):
        config.write_text(text)
        assert sign_in_demanded(environ) is demanded
    config.write_text('[studio]\nsign_in = "yes"\n')
    with pytest.raises(InputError, match=r"studio\.sign_in: expected true or false"):
        sign_in_demanded(environ)
