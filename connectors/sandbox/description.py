"""The OpenAPI 3.1 description of the FreshBooks stand-in, made from the same field and filter tables it answers by."""

from __future__ import annotations

from functools import cache
from typing import Any

from connectors.sandbox import filters
from connectors.sandbox.accounting_app import BASE, SYSTEM_PATH
from connectors.sandbox.callbacks import EVENTS
from connectors.sandbox.events_app import BASE as CALLBACKS
from connectors.sandbox.identity import BUSINESS_ID
from connectors.sandbox.oauth_app import AUTHORIZE_PATHS, ME_PATH, METADATA_PATH, TOKEN_PREFIXES
from connectors.sandbox.resources import LINE_FIELDS, RESOURCES, Field, Kind, Resource
from connectors.sandbox.wire import JsonObject

PATH = "/_openapi.json"

_INCLUDES = {
    "client": (
        *("outstanding_balance", "credit_balance", "draft_balance", "overdue_balance", "grand_total_balance"),
        *("last_activity", "late_reminders", "late_fee"),
    ),
    "invoice": ("lines", "presentation", "allowed_gateways"),
    "payment": ("client", "invoice", "credit_note", "order", "gateway"),
    "credit_note": ("lines",),
}
_DECIMAL = {"type": ["string", "number"]}
_KINDS: dict[Kind, JsonObject] = {
    "text": {"type": ["string", "null"]},
    "int": {"type": ["integer", "string", "null"]},
    "number": _DECIMAL,
    "percent": _DECIMAL,
    "money": {
        "type": "object",
        "required": ["amount"],
        "properties": {"amount": _DECIMAL, "code": {"type": ["string", "null"]}},
    },
    "date": {"type": ["string", "null"], "format": "date"},
    "bool": {"type": ["boolean", "null"]},
    "list": {"type": "array", "items": {"type": "object"}},
    "object": {"type": ["object", "null"]},
}


@cache
def openapi() -> JsonObject:
    """The whole description."""
    paths: JsonObject = {}
    for resource in RESOURCES:
        paths[f"{BASE}/{resource.path}"] = _collection(resource)
        paths[f"{BASE}/{resource.path}/{{identifier}}"] = _single(resource)
    paths[SYSTEM_PATH] = {
        "parameters": [_path("account", {"type": "string"}), _path("identifier", {"type": "integer"}, BUSINESS_ID)],
        "get": _operation("get_system", "Settings of the business", "accounting"),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FreshBooks sandbox",
            "version": "1",
            "description": "A stand-in for tests and demonstrations. It is not FreshBooks and nothing reaches it.",
        },
        "security": [{"bearer": []}],
        "paths": paths | _callback_paths() | _sign_in_paths(),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                **{resource.name: _body(resource.fields, creating=True) for resource in RESOURCES},
                **{f"{resource.name}_change": _change(resource) for resource in RESOURCES},
                "line": _body(LINE_FIELDS, creating=True),
                "callback": {
                    "type": "object",
                    "required": ["event", "uri"],
                    "properties": {
                        "event": {"type": "string", "enum": sorted(EVENTS)},
                        # an address of nobody, for who tries the description out
                        "uri": {"type": "string", "format": "uri", "examples": ["http://127.0.0.1:9/hook"]},
                    },
                },
            },
        },
    }


def _collection(resource: Resource) -> JsonObject:
    query = [
        _query("page", {"type": "integer", "minimum": 0}),
        _query("per_page", {"type": "integer", "minimum": 1}),
        _query("sort", {"type": "string"}),
        _includes(resource),
        *(_query(f"search{name}", {"type": "string"}) for name in filters.names(resource)),
    ]
    return {
        "parameters": [_path("account", {"type": "string"})],
        "get": _operation(f"list_{resource.name}", f"List {resource.list_key}", "accounting", parameters=query),
        "post": _operation(
            f"create_{resource.name}",
            f"Create one {resource.name}; 200, not 201",
            "accounting",
            parameters=[_includes(resource)],
            body=_wrapped(resource.name, resource.name),
        ),
    }


def _single(resource: Resource) -> JsonObject:
    found: JsonObject = {
        "parameters": [_path("account", {"type": "string"}), _path("identifier", {"type": "integer"})],
        "get": _operation(
            f"get_{resource.name}", f"Read one {resource.name}", "accounting", parameters=[_includes(resource)]
        ),
        "put": _operation(
            f"update_{resource.name}",
            "Change the given fields; one phase only: visibility, actions or ordinary fields",
            "accounting",
            parameters=[_includes(resource)],
            body=_wrapped(resource.name, f"{resource.name}_change"),
        ),
    }
    if resource.delete_by != "put":
        kind = "for good" if resource.delete_by == "hard" else "softly"
        found["delete"] = _operation(f"delete_{resource.name}", f"Delete {kind}", "accounting")
    return found


def _callback_paths() -> JsonObject:
    account = _path("account", {"type": "string"})
    change = {
        "type": "object",
        "properties": {
            "verifier": {"type": "string"},
            "resend": {"type": "boolean"},
            "event": {"type": "string"},
            "uri": {"type": "string"},
        },
    }
    query = [
        _query("page", {"type": "integer", "minimum": 0}),
        _query("per_page", {"type": "integer", "minimum": 1}),
        _query("search[event]", {"type": "string"}),
    ]
    return {
        CALLBACKS: {
            "parameters": [account],
            "get": _operation("list_callback", "List callbacks", "events", parameters=query),
            "post": _operation(
                "create_callback",
                "Register; the handshake follows",
                "events",
                body=_wrapped("callback", "callback"),
            ),
        },
        f"{CALLBACKS}/{{identifier}}": {
            "parameters": [account, _path("identifier", {"type": "integer"})],
            "get": _operation("get_callback", "Read one callback", "events"),
            "put": _operation(
                "update_callback",
                "Bring the verifier back, ask for the handshake again, or change the callback",
                "events",
                body={"type": "object", "required": ["callback"], "properties": {"callback": change}},
            ),
            "delete": _operation("delete_callback", "Forget a callback", "events"),
        },
    }


def _sign_in_paths() -> JsonObject:
    client = {name: {"type": "string"} for name in ("client_id", "client_secret")}
    grant = {"grant_type": {"type": "string", "enum": ["authorization_code", "refresh_token"]}}
    texts = {name: {"type": "string"} for name in ("code", "refresh_token", "redirect_uri", "code_verifier")}
    bodies: dict[str, JsonObject] = {
        "token": {"type": "object", "required": [*client, *grant], "properties": client | grant | texts},
        "revoke": {"type": "object", "required": [*client, "token"], "properties": client | {"token": _KINDS["text"]}},
    }
    bodies["introspect"] = bodies["revoke"]
    ask = [
        _query(name, {"type": "string"})
        for name in ("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge")
    ]
    paths: JsonObject = {
        ME_PATH: {"get": _operation("me", "The signed-in identity, without a result layer", "auth")},
        METADATA_PATH: {"get": _operation("metadata", "RFC 8414 metadata", "auth", open_to_all=True)},
    }
    for number, path in enumerate(AUTHORIZE_PATHS, 1):
        paths[path] = {
            method: _operation(
                f"authorize_{method}_{number}",
                "A consent page for a person" if method == "get" else "The person's decision",
                "auth",
                parameters=[*ask, _query("decision", {"type": "string", "enum": ["approve", "deny"]})],
                open_to_all=True,
                answer="text/html",
            )
            for method in ("get", "post")
        }
    for number, prefix in enumerate(TOKEN_PREFIXES, 1):
        for name, body in bodies.items():
            paths[f"{prefix}/{name}"] = {
                "post": _operation(
                    f"{name}_{number}", f"OAuth {name}, form or JSON", "auth", body=body, form=True, open_to_all=True
                )
            }
    return paths


def _operation(
    name: str,
    summary: str,
    tag: str,
    *,
    parameters: list[JsonObject] | None = None,
    body: JsonObject | None = None,
    form: bool = False,
    open_to_all: bool = False,
    answer: str = "application/json",
) -> JsonObject:
    kinds = ["application/json", "application/x-www-form-urlencoded"] if form else ["application/json"]
    known = [*(parameters or []), *([_version()] if tag in ("accounting", "events") else [])]
    content = {kind: {"schema": body} for kind in kinds}
    return {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        **({"parameters": known} if known else {}),
        **({"requestBody": {"required": True, "content": content}} if body else {}),
        **({"security": []} if open_to_all else {}),
        "responses": {
            "200": {"description": "Done", "content": {answer: {}}},
            "default": {"description": "Refused", "content": {answer: {}}},
        },
    }


def _body(table: tuple[Field, ...], *, creating: bool) -> JsonObject:
    known = [field for field in table if creating or field.when == "always"]
    required = [field.name for field in known if field.required] if creating else []
    properties: dict[str, Any] = {field.name: _KINDS[field.kind] for field in known}
    if "lines" in properties:
        properties["lines"] = {"type": "array", "items": {"$ref": "#/components/schemas/line"}}
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _change(resource: Resource) -> JsonObject:
    body = _body(resource.fields, creating=False)
    if resource.has_vis_state:
        body["properties"]["vis_state"] = {"type": "integer", "enum": [0, 1, 2]}
    if resource.name == "invoice":
        body["properties"] |= {"action_mark_as_sent": {"type": "boolean"}, "action_email": {"type": "boolean"}}
    return body


def _wrapped(key: str, schema: str) -> JsonObject:
    return {"type": "object", "required": [key], "properties": {key: {"$ref": f"#/components/schemas/{schema}"}}}


def _includes(resource: Resource) -> JsonObject:
    names = {"type": "array", "items": {"type": "string", "enum": list(_INCLUDES.get(resource.name, ("lines",)))}}
    return {**_query("include[]", names), "style": "form", "explode": True}


def _query(name: str, schema: JsonObject) -> JsonObject:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _version() -> JsonObject:
    text = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
    return {"name": "X-API-VERSION", "in": "header", "required": False, "schema": text}


def _path(name: str, schema: JsonObject, example: object = None) -> JsonObject:
    known = {**schema, "examples": [example]} if example is not None else schema
    return {"name": name, "in": "path", "required": True, "schema": known}
