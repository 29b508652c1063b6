"""Who is at the screen: signed in by OpenID Connect where people sign in, else a name nobody checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from mapper_ai.errors import InputError
from mapper_ai.services.signing_in import broken_files, check_address, check_auth, check_provider
from mapper_ai.services.studio_config import sign_in_demanded


def required() -> bool:
    """Whether people sign in: secrets.toml has [auth], or cannot be read, or mapper.toml demands it.

    A file with a mistake in it counts as asking for it: a slip of the pen must not let everybody in.
    """
    try:
        return "auth" in st.secrets or sign_in_demanded()
    except FileNotFoundError:  # Streamlit's word for a broken file as well
        return bool(_broken()) or sign_in_demanded()


def check_set_up() -> None:
    """Refuse a set-up by which nobody could sign in.

    Raises:
        InputError: One line that names the key and the mend.
    """
    check_auth(_auth())


def send_to_provider() -> None:
    """Send this browser to the provider.

    Raises:
        InputError: It would come back with an error; nobody was sent anywhere.
    """
    auth = _auth()
    check_auth(auth)
    check_address(auth, st.context.url or "")
    check_provider(auth)
    st.login()


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


def _auth() -> Mapping[str, Any]:
    try:
        found = st.secrets.get("auth")
    except FileNotFoundError:
        if broken := _broken():
            raise InputError(f"{broken[0]}: cannot be read as TOML; mend it, nobody can sign in before") from None
        found = None
    if not isinstance(found, Mapping):
        raise InputError("secrets.toml: auth: missing; mapper.toml (studio.sign_in) wants people to sign in")
    return found


def _broken() -> list[str]:
    return broken_files(st.get_option("secrets.files"))


def _name(claims: dict[str, Any]) -> str:
    if not claims.get("is_logged_in"):
        return ""
    # An address that the provider did not check is a text that anybody may have typed.
    address = claims.get("email") if claims.get("email_verified") in (True, "true") else None
    return str(address or claims.get("sub") or "").strip()
