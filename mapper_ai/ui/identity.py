"""Who is at the screen: signed in by OpenID Connect where secrets.toml has [auth], else a name nobody checked."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mapper_ai.errors import InputError


def required() -> bool:
    """Whether people sign in."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:  # no secrets.toml: one person's own machine
        return False


def signed_in() -> bool:
    """Whether somebody is signed in, with a name that approvals can carry."""
    return bool(_name(st.user.to_dict()))


def signed_in_as() -> str:
    """The name that approvals carry: the address the provider vouches for, else its own name of the person.

    Raises:
        InputError: Nobody is signed in.
    """
    name = _name(st.user.to_dict())
    if not name:
        raise InputError("nobody is signed in; sign in first")
    return name


def _name(claims: dict[str, Any]) -> str:
    if not claims.get("is_logged_in"):
        return ""
    # An address that the provider did not check is a text that anybody may have typed.
    address = claims.get("email") if claims.get("email_verified") in (True, "true") else None
    return str(address or claims.get("sub") or "").strip()
