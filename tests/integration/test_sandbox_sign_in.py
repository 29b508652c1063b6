"""Sign-in of the FreshBooks stand-in: consent, codes, tokens, scopes and their end, over HTTP."""

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from connectors.sandbox.server import Sandbox, running_sandbox

BACK = "https://tool.example/back"
BOTH_SETS = ("/auth/oauth", "/service/auth/oauth")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        yield running


def client_of(sandbox: Sandbox) -> dict[str, str]:
    return {"client_id": sandbox.freshbooks_client_id, "client_secret": sandbox.freshbooks_client_secret}


def question(sandbox: Sandbox, **more: str) -> dict[str, str]:
    known = {"response_type": "code", "client_id": sandbox.freshbooks_client_id, "redirect_uri": BACK, "state": "s t"}
    return known | more


def decide(sandbox: Sandbox, decision: str = "approve", path: str = "/oauth/authorize", **more: str) -> dict[str, str]:
    """Answer the consent page; what the browser brings back."""
    answer = httpx2.post(
        f"{sandbox.freshbooks_url}{path}", params=question(sandbox, **more), data={"decision": decision}
    )
    assert answer.status_code == 302, answer.text
    parts = urlsplit(answer.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == more.get("redirect_uri", BACK)
    return dict(parse_qsl(parts.query))


def ask_token(sandbox: Sandbox, fields: dict[str, str], prefix: str = "/auth/oauth") -> httpx2.Response:
    return httpx2.post(f"{sandbox.freshbooks_url}{prefix}/token", data=client_of(sandbox) | fields)


def exchange(sandbox: Sandbox, code: str, **more: str) -> httpx2.Response:
    return ask_token(sandbox, {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, **more})


def refresh(sandbox: Sandbox, token: str) -> httpx2.Response:
    return ask_token(sandbox, {"grant_type": "refresh_token", "refresh_token": token})


def me(sandbox: Sandbox, access: str) -> httpx2.Response:
    url = f"{sandbox.freshbooks_url}/auth/api/v1/users/me"
    return httpx2.get(url, headers={"Authorization": f"Bearer {access}"})


def test_a_person_reads_what_is_asked_for_and_decides(sandbox: Sandbox) -> None:
    asked = question(sandbox, scope="user:profile:read user:clients:write", state='"><script>')
    page = httpx2.get(f"{sandbox.freshbooks_url}/oauth/authorize", params=asked)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "user:clients:write" in page.text
    assert "<script>" not in page.text
    hidden = re.findall(r'<input type=hidden name="(\w+)"', page.text)
    assert set(hidden) == set(asked)
    assert decide(sandbox, "deny") == {
        "error": "access_denied",
        "error_description": "The resource owner or authorization server denied the request.",
        "state": "s t",
    }


@pytest.mark.parametrize("path", ["/oauth/authorize", "/service/auth/oauth/authorize"])
def test_a_code_is_good_once_for_its_redirect_and_five_minutes(sandbox: Sandbox, path: str) -> None:
    came_back = decide(sandbox, path=path, scope="user:profile:read user:clients:read")
    assert came_back["state"] == "s t"
    tokens = exchange(sandbox, came_back["code"]).json()
    assert tokens["scope"] == "user:profile:read user:clients:read"
    assert me(sandbox, tokens["access_token"]).json()["response"]["identity_id"] == 127001
    again = exchange(sandbox, came_back["code"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    elsewhere = exchange(sandbox, decide(sandbox)["code"], redirect_uri="https://other.example")
    assert elsewhere.json()["error"] == "invalid_grant"
    late = decide(sandbox)["code"]
    sandbox.state.oauth._clock = lambda: datetime.now(UTC) + timedelta(minutes=5)
    assert exchange(sandbox, late).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"client_id": "stranger"}, 401),
        ({"redirect_uri": "http://localhost:8080/back"}, 400),
        ({"redirect_uri": "https://tool.example/back?x=1"}, 400),
        ({"redirect_uri": "https://["}, 400),
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_trusted(sandbox: Sandbox, wrong: dict[str, str], status: int) -> None:
    for method in ("GET", "POST"):
        asked = question(sandbox, decision="approve", **wrong)
        answer = httpx2.request(method, f"{sandbox.freshbooks_url}/oauth/authorize", params=asked)
        assert (answer.status_code, "location" in answer.headers) == (status, False)


def test_loopback_redirects_are_a_switch() -> None:
    with running_sandbox(loopback_redirects="accept") as sandbox:
        assert "code" in decide(sandbox, redirect_uri="http://127.0.0.1:9/back")


def test_one_unknown_or_not_enabled_scope_rejects_the_whole_consent() -> None:
    with running_sandbox(enabled_scopes=["user:profile:read", "user:clients:read"]) as sandbox:
        for scope in ("user:profile:read user:nonsense:read", "user:clients:read user:clients:write"):
            assert decide(sandbox, scope=scope)["error"] == "invalid_scope"
        tokens = exchange(sandbox, decide(sandbox)["code"]).json()
        assert tokens["scope"] == "user:profile:read user:clients:read"


def test_a_token_does_what_its_scopes_allow(sandbox: Sandbox) -> None:
    tokens = exchange(sandbox, decide(sandbox, scope="user:clients:read")["code"]).json()
    url = f"{sandbox.freshbooks_url}/accounting/account/{sandbox.account_id}/users/clients"
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert httpx2.get(url, headers=bearer).status_code == 200
    refused = httpx2.post(url, json={"client": {"email": "a@b.example"}}, headers=bearer)
    assert (refused.status_code, refused.json()["response"]["errors"][0]["errno"]) == (403, 1003)


def test_other_response_types_and_challenges_go_back_as_errors(sandbox: Sandbox) -> None:
    assert decide(sandbox, response_type="token")["error"] == "unsupported_response_type"
    assert decide(sandbox, code_challenge="abc", code_challenge_method="plain")["error"] == "invalid_request"


@pytest.mark.parametrize(("pkce", "status"), [("enforced", 400), ("ignored", 200)])
def test_pkce_is_accepted_and_its_enforcement_a_switch(pkce: str, status: int) -> None:
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with running_sandbox(pkce=pkce) as sandbox:

        def fresh() -> str:
            return decide(sandbox, code_challenge=challenge, code_challenge_method="S256")["code"]

        assert exchange(sandbox, fresh(), code_verifier=verifier).status_code == 200
        assert exchange(sandbox, fresh(), code_verifier="w" * 43).status_code == status
        assert exchange(sandbox, fresh()).status_code == status


@pytest.mark.parametrize("prefix", BOTH_SETS)
def test_tokens_by_form_and_json_rotate_introspect_and_revoke(sandbox: Sandbox, prefix: str) -> None:
    base = f"{sandbox.freshbooks_url}{prefix}"
    first = ask_token(
        sandbox, {"grant_type": "refresh_token", "refresh_token": sandbox.refresh_token}, prefix=prefix
    ).json()
    assert (first["expires_in"], first["token_type"], first["direct_buy_tokens"]) == (43_200, "Bearer", {})
    assert isinstance(first["created_at"], int)
    assert first["access_token"].count(".") == 2
    assert 900 < len(first["access_token"]) < 1200
    fields = client_of(sandbox) | {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = httpx2.post(f"{base}/token", json=fields).json()
    reused = httpx2.post(f"{base}/token", json=fields)
    assert (reused.status_code, set(reused.json())) == (400, {"error", "error_description"})
    assert reused.json()["error"] == "invalid_grant"
    about = httpx2.post(f"{base}/introspect", data=client_of(sandbox) | {"token": second["access_token"]}).json()
    assert (about["active"], about["exp"]) == (True, second["created_at"] + 43_200)
    revoked = httpx2.post(f"{base}/revoke", data=client_of(sandbox) | {"token": second["access_token"]})
    assert (revoked.status_code, revoked.json()) == (200, {})
    assert me(sandbox, second["access_token"]).status_code == 401
    known = httpx2.post(f"{base}/introspect", data=client_of(sandbox) | {"token": second["access_token"]})
    assert known.json() == {"active": False}
    for name in ("token", "revoke", "introspect"):
        stranger = httpx2.post(f"{base}/{name}", data={**fields, "client_secret": "wrong"})
        assert (stranger.status_code, stranger.json()["error"]) == (401, "invalid_client")


def test_one_refresh_token_is_valid_per_user_and_application(sandbox: Sandbox) -> None:
    before = sandbox.refresh_token
    tokens = exchange(sandbox, decide(sandbox)["code"]).json()
    assert refresh(sandbox, before).json()["error"] == "invalid_grant"
    assert refresh(sandbox, tokens["refresh_token"]).status_code == 200


def test_created_at_of_a_refresh_may_be_the_old_one() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with running_sandbox(refreshed_created_at="old", access_token_s=100) as sandbox:
        sandbox.state.oauth._clock = lambda: now
        first = exchange(sandbox, decide(sandbox)["code"]).json()
        now += timedelta(seconds=60)
        second = refresh(sandbox, first["refresh_token"]).json()
        assert (second["created_at"], second["expires_in"]) == (first["created_at"], 100)
        now += timedelta(seconds=40)
        # now + expires_in would have said 60 seconds more
        assert me(sandbox, second["access_token"]).status_code == 401
        third = refresh(sandbox, second["refresh_token"]).json()
        assert third["created_at"] == int(now.timestamp())


def test_metadata_names_addresses_that_answer(sandbox: Sandbox) -> None:
    known: dict[str, Any] = httpx2.get(f"{sandbox.freshbooks_url}/.well-known/oauth-authorization-server").json()
    assert known["issuer"] == sandbox.freshbooks_url
    assert known["code_challenge_methods_supported"] == ["S256"]
    assert known["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert httpx2.get(known["authorization_endpoint"], params=question(sandbox)).status_code == 200
    for name in ("token", "revocation", "introspection"):
        answer = httpx2.post(known[f"{name}_endpoint"], data={})
        assert answer.json()["error"] == "invalid_client"


def test_other_grants_are_not_supported(sandbox: Sandbox) -> None:
    for grant in ("client_credentials", "password", ""):
        answer = ask_token(sandbox, {"grant_type": grant})
        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
