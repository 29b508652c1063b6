"""What the Clarity stand-in answers to, as OpenAPI 3.1: for fuzzing, and for tools that want to look at it."""

from __future__ import annotations

from typing import Any

from connectors.sandbox.cef_books import ENTITIES as CEF_ENTITIES
from connectors.sandbox.clarity_books import ENTITIES as REST_ENTITIES

_CEF = "/DesktopModules/ClarityEcommerce/API-Admin"
_JSON = {"application/json": {"schema": {"type": "object"}}}
_FORM_TYPE = "application/x-www-form-urlencoded"
_REFUSALS = {code: {"description": text, "content": _JSON} for code, text in (("400", "Bad"), ("401", "Who?"))}
_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 1}
_INSTANT = {"type": "string", "format": "date-time"}

Schema = dict[str, Any]


def description(flavour: str = "both") -> Schema:
    """The description.

    Args:
        flavour: rest, cef or both.
    """
    paths: dict[str, Schema] = {}
    if flavour != "cef":
        paths |= _rest_paths()
    if flavour != "rest":
        paths |= _cef_paths()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Clarity eCommerce stand-in", "version": "1"},
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "ss-id"},
            }
        },
    }


def _rest_paths() -> dict[str, Schema]:
    by: list[Schema] = [{"bearer": []}]
    token = {"type": "object", "required": ["grant_type"], "properties": {"grant_type": _TEXT, "scope": _TEXT}}
    paths: dict[str, Schema] = {
        "/oauth/token": {"post": _operation(body={_FORM_TYPE: {"schema": token}})},
        "/oauth/revoke": {"post": _operation(body={_FORM_TYPE: {"schema": {"type": "object"}}})},
    }
    for name in REST_ENTITIES:
        query: dict[str, Schema] = {
            "updatedSince": _INSTANT,
            "createdSince": _INSTANT,
            "status": _TEXT,
            "sort": {"enum": ["updatedAt", "createdAt"]},
            "page": _COUNT,
            "pageSize": _COUNT,
        }
        paths[f"/api/v1/{name}"] = {"get": _operation(query=query, security=by)}
        one = {"get": _operation(path=("id",), security=by)}
        if name in ("orders", "customers"):
            one["patch"] = _operation(path=("id",), body=_JSON, security=by)
        paths[f"/api/v1/{name}/{{id}}"] = one
    return paths


def _cef_paths() -> dict[str, Schema]:
    by: list[Schema] = [{"session": []}]
    sign_in = {"type": "object", "properties": {"UserName": _TEXT, "Password": _TEXT}}
    paths: dict[str, Schema] = {
        f"{_CEF}/auth/identity": {"post": _operation(body={"application/json": {"schema": sign_in}})},
        f"{_CEF}/Pricing/Prices/RawForProduct/ID/{{id}}": {"get": _operation(path=("id",), security=by)},
    }
    query: dict[str, Schema] = {
        "ID": _COUNT,
        "IDs": _TEXT,
        "CustomKey": _TEXT,
        "IDOrCustomKey": _TEXT,
        "Active": {"type": "boolean"},
        "ModifiedSince": _INSTANT,
        "MaxUpdatedOrCreatedDate": _INSTANT,
        "StatusKey": _TEXT,
        "AsListing": {"type": "boolean"},
        "Paging": {"type": "string", "pattern": r"^\{Size:[0-9]{1,3},StartIndex:[0-9]{1,3}\}$"},
    }
    for entity, (schema, plural) in CEF_ENTITIES.items():
        root = f"{_CEF}/{schema}"
        paths[f"{root}/{plural}"] = {"get": _operation(query=query, security=by)}
        paths[f"{root}/{plural}Digest"] = {"get": _operation(security=by)}
        bulk = {"get": _operation(security=by), "post": _operation(body=_JSON, security=by)}
        paths[f"{root}/{plural}ForConnect"] = bulk
        paths[f"{root}/{entity}/ID/{{id}}"] = {"get": _operation(path=("id",), security=by)}
        paths[f"{root}/{entity}/Key/{{key}}"] = {"get": _operation(path=("key",), security=by)}
        paths[f"{root}/{entity}/Create"] = {"post": _operation(body=_JSON, security=by)}
        paths[f"{root}/{entity}/Update"] = {"put": _operation(body=_JSON, security=by)}
        paths[f"{root}/{entity}/Upsert"] = {"post": _operation(body=_JSON, security=by)}
        paths[f"{root}/{entity}/Deactivate/ID/{{id}}"] = {"patch": _operation(path=("id",), security=by)}
    return paths


def _operation(
    *,
    path: tuple[str, ...] = (),
    query: dict[str, Schema] | None = None,
    body: Schema | None = None,
    security: list[Schema] | None = None,
) -> Schema:
    named = {"in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    names = [{**named, "name": name} for name in path]
    asked = [{"in": "query", "name": name, "schema": schema} for name, schema in (query or {}).items()]
    operation: Schema = {
        "parameters": [*names, *asked],
        "responses": {"200": {"description": "Fine", "content": _JSON}, **_REFUSALS},
        "security": security or [],
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation
