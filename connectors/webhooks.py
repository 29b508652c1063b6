"""Clarity's webhook signature (assumption A13): `X-Clarity-Signature: t=<unix>,v1=<hex>`.

v1 is HMAC-SHA256 over the timestamp, a point and the raw body. It is checked on the bytes as received, before
anything is parsed or stored.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

SIGNATURE_HEADER = "X-Clarity-Signature"
TOLERANCE_S = 300.0

_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


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
