"""Both flavours of the Clarity stand-in, fuzzed by their own description: no request may end in a 500."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from connectors.sandbox.clarity_openapi import description
from connectors.sandbox.server import Sandbox, running_sandbox

# Every entity of the framework takes the same routes and code; two of them stand for all.
FUZZED = ("/SalesOrder", "/Product", "/auth", "/Pricing", "/api/v1", "/oauth")
OPERATIONS = [
    operation
    for operation in (found.ok() for found in schemathesis.openapi.from_dict(description()).get_all_operations())
    if any(part in operation.path for part in FUZZED)
]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running_sandbox() as running:
        running.seed(seed=1, orders=12)
        yield running


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as-told", "otherwise"])
def test_no_request_ends_in_a_server_error(sandbox: Sandbox, mode: GenerationMode) -> None:
    fields = {"UserName": sandbox.cef_user_name, "Password": sandbox.cef_password}
    session = httpx2.post(f"{sandbox.cef_url}/auth/identity", json=fields).json()["SessionId"]
    headers = {"Authorization": f"Bearer {sandbox.credentials.clarity_api_key}", "Cookie": f"ss-id={session}"}
    drawn = st.sampled_from(OPERATIONS).flatmap(lambda operation: operation.as_strategy(generation_mode=mode))
    statuses: set[int] = set()

    @seed(1)
    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=drawn)
    def fuzz(case: Any) -> None:
        case.cookies.clear()  # the signed-in session, not a drawn one
        answer = case.call(base_url=sandbox.clarity_url, session=client, headers=headers)
        statuses.add(answer.status_code)
        assert answer.status_code < 500, f"{case.method} {case.formatted_path}: {answer.text[:200]}"

    with requests.Session() as client:
        fuzz()
    assert statuses >= {200, 400, 404}
