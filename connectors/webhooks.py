"""Signatures of incoming webhooks, checked before anything is stored.

Clarity (assumption A13): `X-Clarity-Signature: t=<unix>,v1=<hex>`, v1 being HMAC-SHA256 over the timestamp, a point
and the raw body. FreshBooks: `X-FreshBooks-Hmac-SHA256`, base64 of HMAC-SHA256 over the form fields as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

SIGNATURE_HEADER = "X-Clarity-Signature"
FRESHBOOKS_SIGNATURE_HEADER = "X-FreshBooks-Hmac-SHA256"
HANDSHAKE = "callback.verify"
TOLERANCE_S = 300.0

_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BASE64_DIGEST = re.compile(r"[A-Za-z0-9+/]{43}=", re.ASCII)
_MAX_FIELDS = 100


class WebhookRefused(Exception):  # noqa: N818  named for what happened to the delivery
    """A delivery that must not be stored.

    Attributes:
        reason: no-secret, missing-signature, malformed-signature, outside-tolerance or wrong-signature.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def sign_clarity(secret: str, timestamp: int, raw: bytes) -> str:
    """The header value for a body.

    Args:
        secret: Shared with the receiver, not empty.
        timestamp: Unix seconds.
        raw: The body as sent.

    Raises:
        ValueError: The secret is empty.
    """
    if not secret:
        raise ValueError("a webhook secret must not be empty")
    return f"t={timestamp},v1={_digest(secret, str(timestamp), raw)}"


def verify_clarity(
    header: str | None,
    raw: bytes,
    secrets: Sequence[str],
    now: float,
    tolerance_s: float = TOLERANCE_S,
) -> None:
    """Accept a delivery signed with one of the secrets within the tolerance; compare in constant time.

    Args:
        header: Value of the signature header; several v1 are allowed while a sender rotates its secret.
        raw: The body as received.
        secrets: Two while rotating; empty ones are ignored.
        now: Unix seconds.
        tolerance_s: Largest distance between now and the timestamp, in both directions, inclusive.

    Raises:
        WebhookRefused: With its reason.
    """
    usable = [secret for secret in secrets if secret]
    if not usable:
        raise WebhookRefused("no-secret")
    if not header or not header.strip():
        raise WebhookRefused("missing-signature")
    timestamp, digests = _parse(header)
    # The signature first: who cannot sign learns nothing about this clock.
    matches = [hmac.compare_digest(_digest(secret, timestamp, raw), digest) for secret in usable for digest in digests]
    if not any(matches):
        raise WebhookRefused("wrong-signature")
    if abs(now - int(timestamp)) > tolerance_s:
        raise WebhookRefused("outside-tolerance")


def _digest(secret: str, timestamp: str, raw: bytes) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + raw, hashlib.sha256).hexdigest()


def _parse(header: str) -> tuple[str, list[str]]:
    """The timestamp as sent and the v1 digests; other parts are left for later schemes."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    timestamps = [value for name, _, value in parts if name == "t"]
    digests = [value.lower() for name, _, value in parts if name == "v1"]
    well_formed = (
        len(timestamps) == 1
        and _TIMESTAMP.fullmatch(timestamps[0])
        and 1 <= len(digests) <= 8
        and all(_DIGEST.fullmatch(digest) for digest in digests)
    )
    if not well_formed:
        raise WebhookRefused("malformed-signature")
    return timestamps[0], digests


def parse_callback(raw: bytes) -> dict[str, str]:
    """The form fields of a FreshBooks callback in the order received.

    Raises:
        ValueError: Not a form, a field twice, or no name: the message says what was expected.
    """
    expected = "expected a form with the fields name and object_id"
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=True,
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise ValueError(expected) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError(f"{expected}: a field is there twice")
    if not fields.get("name"):
        raise ValueError(f'{expected}: "name" is missing')
    return fields


def sign_freshbooks(verifier: str, fields: Mapping[str, str]) -> str:
    """The signature header of a callback: over the fields as Python's json.dumps writes them, in order, all text.

    Raises:
        ValueError: The verifier is empty.
    """
    if not verifier:
        raise ValueError("a verifier must not be empty")
    message = json.dumps({name: str(value) for name, value in fields.items()}).encode()
    return base64.b64encode(hmac.new(verifier.encode(), message, hashlib.sha256).digest()).decode()


def verify_freshbooks(header: str | None, fields: Mapping[str, str], verifiers: Sequence[str]) -> None:
    """Accept a callback signed with one of the verifiers; compare in constant time, with all of them.

    FreshBooks signs no time, so that a recorded callback stays valid: it says no more than "this changed".

    Args:
        header: Value of X-FreshBooks-Hmac-SHA256.
        fields: In the order received.
        verifiers: One for each registered callback, as the callback does not say which one it is.

    Raises:
        WebhookRefused: no-secret, missing-signature, malformed-signature or wrong-signature.
    """
    usable = [verifier for verifier in verifiers if verifier]
    if not usable:
        raise WebhookRefused("no-secret")
    if not header or not header.strip():
        raise WebhookRefused("missing-signature")
    given = header.strip()
    if not _BASE64_DIGEST.fullmatch(given):
        raise WebhookRefused("malformed-signature")
    matches = [hmac.compare_digest(sign_freshbooks(verifier, fields), given) for verifier in usable]
    if not any(matches):
        raise WebhookRefused("wrong-signature")
