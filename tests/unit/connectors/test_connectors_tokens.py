"""Renewal happens once, is saved first, and never destroys what it has."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest

from connectors.errors import AuthError, ReconnectError, TransientError
from connectors.tokens import ClientCredentials, RefreshingToken, StaticToken, TokenPair

NOW = 1_000_000.0


class MemoryStore:
    """A token store whose lock and saves can be watched."""

    def __init__(self, pair: TokenPair | None) -> None:
        self.pair = pair
        self.saved: list[TokenPair] = []
        self.lock = threading.Lock()

    @contextmanager
    def exclusive(self) -> Iterator[MemoryStore]:
        with self.lock:
            yield self

    def load(self) -> TokenPair | None:
        return self.pair

    def save(self, pair: TokenPair) -> None:
        self.pair = pair
        self.saved.append(pair)


def pair(number: int, expires_at: float = NOW + 43200) -> TokenPair:
    return TokenPair(f"access-{number}", f"refresh-{number}", expires_at)


def source(stub: Any, store: MemoryStore, **options: Any) -> RefreshingToken:
    options.setdefault("now", lambda: NOW)
    return RefreshingToken(base_url=stub.url, client_id="app", client_secret="hush", store=store, **options)


class SingleUse:
    """FreshBooks' token endpoint: a refresh token works once, then 400 invalid_grant."""

    def __init__(self, reply: Any, valid: str) -> None:
        self.reply, self.valid, self.count = reply, valid, 1

    def __call__(self, seen: Any) -> Any:
        fields = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
        if fields["refresh_token"] != self.valid:
            return self.reply(400, {"error": "invalid_grant", "error_description": f"{fields['refresh_token']} used"})
        self.count += 1
        self.valid = f"refresh-{self.count}"
        return self.reply(
            200,
            {
                "access_token": f"access-{self.count}",
                "refresh_token": self.valid,
                "token_type": "Bearer",
                "expires_in": 43200,
                "created_at": int(NOW) - 100,
            },
        )


def test_valid_token_is_used_without_a_request(stub: Any) -> None:
    tokens = source(stub, MemoryStore(pair(1)))
    assert tokens.token() == "access-1"
    assert stub.seen == []


def test_refresh_sends_the_form_and_counts_from_created_at(stub: Any, reply: Any) -> None:
    stub.answer = SingleUse(reply, "refresh-1")
    store = MemoryStore(pair(1, expires_at=NOW + 59))
    assert source(stub, store, redirect_uri="https://app.example/back").token() == "access-2"
    assert store.pair == TokenPair("access-2", "refresh-2", NOW - 100 + 43200)
    seen = stub.seen[0]
    assert (seen.method, seen.path) == ("POST", "/auth/oauth/token")
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(seen.body.decode()) == {
        "client_id": ["app"],
        "client_secret": ["hush"],
        "grant_type": ["refresh_token"],
        "refresh_token": ["refresh-1"],
        "redirect_uri": ["https://app.example/back"],
    }


def test_a_pair_handed_out_shortly_before_its_end_is_used_before_it_is_renewed(stub: Any, reply: Any) -> None:
    clock = [NOW]
    stub.answer = SingleUse(reply, "refresh-1")
    store = MemoryStore(pair(1, expires_at=NOW - 1))
    tokens = source(stub, store, now=lambda: clock[0])
    clock[0] = NOW - 100 + 43200 - 40  # created_at is old: 40 seconds are left of the new token
    assert [tokens.token() for _ in range(3)] == ["access-2"] * 3
    assert source(stub, store, now=lambda: clock[0]).token() == "access-2"
    assert len(stub.seen) == 1
    clock[0] += 21
    assert tokens.token() == "access-3"


def test_a_dead_refresh_token_is_not_tried_twice(stub: Any, reply: Any) -> None:
    stub.answer = SingleUse(reply, "another")
    store = MemoryStore(pair(1, expires_at=0))
    tokens = source(stub, store)
    for _ in range(3):  # the reason stays the same, whichever worker reports it
        with pytest.raises(ReconnectError, match="reconnect FreshBooks: invalid_grant"):
            tokens.token()
    assert len(stub.seen) == 1
    store.pair = TokenPair("access-9", "another", 0)  # somebody signed in again
    assert tokens.token() == "access-2"


def test_many_threads_refresh_once(stub: Any, reply: Any) -> None:
    stub.answer = SingleUse(reply, "refresh-1")
    store = MemoryStore(pair(1))
    tokens = source(stub, store)
    start = threading.Barrier(8)

    def refused() -> str:
        start.wait()
        return tokens.refreshed("access-1")

    with ThreadPoolExecutor(8) as pool:
        results = [future.result() for future in [pool.submit(refused) for _ in range(8)]]
    assert set(results) == {"access-2"}
    assert len(stub.seen) == 1


def test_two_processes_refresh_once(stub: Any, reply: Any) -> None:
    stub.answer = SingleUse(reply, "refresh-1")
    store = MemoryStore(pair(1))
    one, other = source(stub, store), source(stub, store)
    assert one.token() == other.token() == "access-1"
    assert one.refreshed("access-1") == "access-2"
    assert other.refreshed("access-1") == "access-2"
    assert len(stub.seen) == 1


def test_pair_that_cannot_be_saved_is_not_used(stub: Any, reply: Any) -> None:
    class FullDisk(MemoryStore):
        def save(self, pair: TokenPair) -> None:
            raise OSError("disk full")

    stub.answer = SingleUse(reply, "refresh-1")
    tokens = source(stub, FullDisk(pair(1, expires_at=0)))
    with pytest.raises(OSError, match="disk full"):
        tokens.token()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"status": 500, "raw": b"oops"}, TransientError),
        ({"status": 429, "body": {}, "headers": {"Retry-After": "3"}}, TransientError),
        ({"status": 200, "raw": b"<html>"}, TransientError),
        ({"status": 200, "body": {"access_token": "x"}}, TransientError),
        ({"status": 200, "body": {"access_token": "", "refresh_token": "y"}}, TransientError),
        ({"status": 200, "body": {"error": "invalid_grant"}}, ReconnectError),
        ({"status": 401, "body": {"error": "invalid_client"}}, AuthError),
        ({"status": 400, "raw": b"?"}, AuthError),
        ({"cut": True}, TransientError),
    ],
)
def test_error_answer_never_overwrites_the_pair(
    stub: Any, reply: Any, answer: dict[str, Any], error: type[Exception]
) -> None:
    stub.replies(reply(**answer))
    store = MemoryStore(pair(1, expires_at=0))
    with pytest.raises(error) as caught:
        source(stub, store).token()
    assert type(caught.value) is error
    assert store.saved == []
    assert store.pair == pair(1, expires_at=0)


def test_dead_refresh_token_says_reconnect_and_nothing_secret(stub: Any, reply: Any) -> None:
    stub.answer = SingleUse(reply, "another")
    with pytest.raises(AuthError, match=r"^reconnect FreshBooks: invalid_grant: … used$") as caught:
        source(stub, MemoryStore(pair(1, expires_at=0))).token()
    assert "refresh-1" not in repr(caught.value)


def test_empty_store_without_a_first_token_says_reconnect(stub: Any) -> None:
    with pytest.raises(AuthError, match="reconnect FreshBooks"):
        source(stub, MemoryStore(None)).token()


def test_first_refresh_token_comes_from_the_settings(stub: Any, reply: Any) -> None:
    stub.answer = SingleUse(reply, "first")
    store = MemoryStore(None)
    assert source(stub, store, initial_refresh_token="first").token() == "access-2"
    assert store.pair is not None
    assert store.pair.refresh == "refresh-2"


def test_new_token_in_the_settings_reconnects(stub: Any, reply: Any) -> None:
    stub.answer = SingleUse(reply, "by-hand")
    store = MemoryStore(pair(1, expires_at=0))
    assert source(stub, store, initial_refresh_token="by-hand").token() == "access-2"


def test_pairs_and_tokens_do_not_print() -> None:
    assert "access-1" not in repr(pair(1))
    assert "refresh-1" not in str(pair(1))
    with pytest.raises(ValueError, match="access token") as caught:
        StaticToken("se cret")
    assert "cret" not in str(caught.value)


def credentials(stub: Any, clock: list[float], base: str = "") -> ClientCredentials:
    return ClientCredentials(base_url=base or stub.url, client_id="id", client_secret="s", now=lambda: clock[0])


def numbered(stub: Any, reply: Any, expires_in: int) -> None:
    stub.answer = lambda _: reply(200, {"access_token": f"t{len(stub.seen)}", "expires_in": expires_in})


def test_client_credentials_renew_a_minute_early(stub: Any, reply: Any) -> None:
    numbered(stub, reply, 3600)
    clock = [0.0]
    tokens = credentials(stub, clock, base=stub.url + "/api/v1")
    assert tokens.token() == "t1"
    clock[0] = 3539.0
    assert tokens.token() == "t1"
    clock[0] = 3540.0
    assert tokens.token() == "t2"
    assert stub.seen[0].path == "/oauth/token"
    assert parse_qs(stub.seen[0].body.decode())["grant_type"] == ["client_credentials"]


def test_short_lived_token_is_not_renewed_at_every_call(stub: Any, reply: Any) -> None:
    numbered(stub, reply, 30)
    tokens = credentials(stub, [0.0])
    assert [tokens.token(), tokens.token()] == ["t1", "t1"]


def test_client_credentials_refused_once_for_many_threads(stub: Any, reply: Any) -> None:
    numbered(stub, reply, 3600)
    tokens = credentials(stub, [0.0])
    assert tokens.token() == "t1"
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: tokens.refreshed("t1"), range(8))) == {"t2"}
    assert len(stub.seen) == 2


def test_wrong_client_secret_stops_the_connection(stub: Any, reply: Any) -> None:
    stub.replies(reply(401, {"error": "invalid_client"}))
    with pytest.raises(AuthError, match="Clarity sign-in refused, status 401: invalid_client"):
        credentials(stub, [0.0]).token()
