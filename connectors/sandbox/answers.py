"""JSON answers of both stand-ins."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from connectors.sandbox.wire import dumps


def json_response(body: Any, status: int = 200) -> Response:
    """A JSON answer with exact decimals."""
    return Response(dumps(body), status, media_type="application/json")
