"""An OpenAI-compatible server on loopback that answers what a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Answer = Callable[[dict[str, Any]], Response | str]


def completion(text: str | None, *, finish: str = "stop", usage: bool = True, **message: Any) -> JSONResponse:
    """A chat completion as the API writes it."""
    body: dict[str, Any] = {
        "id": "c1",
        "object": "chat.completion",
        "created": 0,
        "model": "stub",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        ],
    }
    if usage:
        body["usage"] = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    return JSONResponse(body)


def refusal(status: int, message: str, **headers: str) -> JSONResponse:
    """An error as the API writes it."""
    return JSONResponse({"error": {"message": message, "type": "stub"}}, status, headers)


@dataclass
class Stub:
    """A running stub.

    Attributes:
        url: With /v1.
        answer: Makes the answer of a request's body; may be replaced while it runs.
        bodies: Requests so far, as sent; `raw` are their bytes.
    """

    url: str
    answer: Answer
    bodies: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    models: list[dict[str, Any]] = field(
        default_factory=lambda: [{"id": "stub", "object": "model", "owned_by": "vllm"}]
    )


@contextmanager
def running_stub(answer: Answer) -> Iterator[Stub]:
    """A stub in a thread; it ends with the block."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    stub = Stub(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", answer)

    async def chat(request: Request) -> Response:
        raw = await request.body()
        stub.raw.append(raw)
        stub.headers.append(dict(request.headers))
        body = json.loads(raw)
        stub.bodies.append(body)
        answered = stub.answer(body)
        return completion(answered) if isinstance(answered, str) else answered

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": stub.models})

    routes = [Route("/v1/chat/completions", chat, methods=["POST"]), Route("/v1/models", models)]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.should_exit = True
        thread.join(10)
        taken.close()


def facts_of(body: dict[str, Any]) -> dict[str, Any]:
    """The facts that a request tells."""
    user = next(row["content"] for row in body["messages"] if row["role"] == "user")
    found: dict[str, Any] = json.loads(user.rsplit("\nJSON: ", 1)[1])
    return found


def task_of(body: dict[str, Any]) -> str:
    """The task a request belongs to; "" where nothing says."""
    held = body.get("response_format", {}).get("json_schema", {}).get("name")
    return str(held or (body.get("tools") or [{"function": {"name": ""}}])[0]["function"]["name"])


def picks(choose: Callable[[str, dict[str, list[str]]], str], body: dict[str, Any], sure: str = "high") -> str:
    """An answer about sources: `choose` gets a target and its candidates' paths by id, and gives an id or none."""
    told = {}
    for number, row in enumerate(facts_of(body)["targets"], 1):
        candidates = {key: [one["field"] for one in value["from"]] for key, value in row["candidates"].items()}
        told[f"t{number}"] = {"choice": choose(row["target"]["field"], candidates), "sure": sure, "why": "by meaning"}
    return json.dumps(told)
