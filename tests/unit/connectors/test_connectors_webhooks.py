"""Signatures over the raw body, checked within a time window."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from connectors.webhooks import WebhookRefused, sign_clarity, verify_clarity

RAW = b'{"id": "evt_1", "type": "order.created"}'
NOW = 1_700_000_000.0
GOOD = sign_clarity("secret", int(NOW), RAW)


def refused(header: str | None, raw: bytes = RAW, secrets: tuple[str, ...] = ("secret",), now: float = NOW) -> str:
    with pytest.raises(WebhookRefused) as caught:
        verify_clarity(header, raw, secrets, now)
    return caught.value.reason


def test_signature_is_hmac_of_time_point_body() -> None:
    digest = hmac.new(b"secret", b"1700000000." + RAW, hashlib.sha256).hexdigest()
    assert f"t=1700000000,v1={digest}" == GOOD
    verify_clarity(GOOD, RAW, ["secret"], NOW)


def test_either_of_two_secrets_is_accepted_while_rotating() -> None:
    verify_clarity(GOOD, RAW, ["new", "secret"], NOW)
    verify_clarity(GOOD, RAW, ["secret", "new"], NOW)
    both = f"{sign_clarity('new', int(NOW), RAW)},{GOOD.split(',')[1]}"
    verify_clarity(both, RAW, ["secret"], NOW)
    assert refused(GOOD, secrets=("new", "newer")) == "wrong-signature"


def test_changed_body_or_time_is_refused() -> None:
    assert refused(GOOD, raw=RAW + b" ") == "wrong-signature"
    assert refused(GOOD.replace("t=1700000000", "t=1700000001")) == "wrong-signature"


@pytest.mark.parametrize("age_s", [-300.0, 0.0, 300.0])
def test_window_is_inclusive(age_s: float) -> None:
    verify_clarity(GOOD, RAW, ["secret"], NOW + age_s)


@pytest.mark.parametrize("age_s", [-301.0, 300.5, 86_400.0])
def test_replay_outside_the_window_is_refused(age_s: float) -> None:
    assert refused(GOOD, now=NOW + age_s) == "outside-tolerance"


@pytest.mark.parametrize("header", [None, "", "  "])
def test_missing_header(header: str | None) -> None:
    assert refused(header) == "missing-signature"


@pytest.mark.parametrize(
    "header",
    [
        "nonsense",
        "t=1700000000",
        GOOD.split(",")[1],
        GOOD.replace("t=1700000000", "t="),
        GOOD.replace("t=1700000000", "t=１７００００００００"),
        GOOD.replace("t=1700000000", "t=+1700000000"),
        GOOD + ",t=1700000001",
        GOOD[:-1],
        GOOD + "zz",
        "t=1700000000,v1=" + "é" * 64,
        "t=1700000000" + ",v1=" + ",v1=".join(["0" * 64] * 9),
    ],
)
def test_malformed_header(header: str) -> None:
    assert refused(header) == "malformed-signature"


def test_spaces_upper_case_and_later_schemes_are_read() -> None:
    time_part, digest = GOOD.split(",")
    verify_clarity(f" {time_part} , v0=old, {digest[:3]}{digest[3:].upper()} ", RAW, ["secret"], NOW)


def test_empty_secret_never_verifies() -> None:
    assert refused(GOOD, secrets=()) == "no-secret"
    assert refused(GOOD, secrets=("",)) == "no-secret"
    with pytest.raises(ValueError, match="empty"):
        sign_clarity("", 1, RAW)
