"""Sign-in of Clarity's framework: user name and password for a session cookie, renewed when the server drops it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping

from connectors.errors import AmbiguousWriteError, AuthError, Problem, TransientError, read_problem
from connectors.http import Transport, dumps, parse_retry_after, root_url

API_PATH = "/DesktopModules/ClarityEcommerce/API-Admin"
"""Base path of the admin routes; a base URL may be given with or without it."""

LOGIN_PATH = "/auth/identity"
"""The provider differs by store: `/auth/cef` works the same way."""

# Cookies of one answer stand in one header, joined by commas; a comma inside `expires=` is not followed by a name.
_COOKIE = re.compile(r"(?:^|,\s*)([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([^;,\s]+)")


def session_header(cookies: str) -> dict[str, str]:
    """The header of a session, for `http.Api`."""
    return {"Cookie": cookies}


class CefSession:
    """A `TokenSource` whose tokens are cookies; one login at a time, shared between threads."""

    def __init__(
        self,
        *,
        base_url: str,
        user_name: str,
        password: str,
        api_path: str = API_PATH,
        login_path: str = LOGIN_PATH,
        timeout_s: float = 30.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Set up without any request.

        Args:
            base_url: Root of the store, with or without the API path.
            user_name: Of a user who may read the admin routes.
            password: Kept in memory only.
            api_path: Base path of the routes (A1).
            login_path: Below it (A2).
            timeout_s: For one login.
            now: Unix seconds.

        Raises:
            ValueError: base_url is not usable, or the user name or password is empty.
        """
        if not user_name or not password:
            raise ValueError("the user name or the password is empty")
        self._url = root_url(base_url, api_path) + api_path + login_path
        self._fields = {"UserName": user_name, "Password": password}
        self._timeout_s = timeout_s
        self._now = now
        self._lock = threading.Lock()
        self._cookies: str | None = None

    def token(self) -> str:
        """The cookies of the session, logging in first when there is none."""
        with self._lock:
            if self._cookies is None:
                self._cookies = self._login()
            return self._cookies

    def refreshed(self, rejected: str) -> str:
        """The cookies of a session other than the refused one."""
        with self._lock:
            if self._cookies is None or self._cookies == rejected:
                self._cookies = None  # a login that fails must not leave the dead session behind
                self._cookies = self._login()
            return self._cookies

    def _login(self) -> str:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "mapper-ai"}
        content = dumps(self._fields).encode()
        with Transport(self._url, timeout_s=self._timeout_s) as transport:
            try:
                answer = transport.exchange(
                    "POST", self._url, headers=headers, content=content, operation="Clarity sign-in"
                )
            except AmbiguousWriteError as error:  # a session more or less changes no record
                raise TransientError(error.message) from error
        body = answer.json_or_none()
        if answer.status == 429 or answer.status >= 500:
            wait_s = parse_retry_after(answer.headers.get("retry-after"), self._now())
            raise TransientError(f"Clarity sign-in: status {answer.status}", wait_s)
        failed = isinstance(body, Mapping) and body.get("ActionSucceeded") is False
        if answer.status >= 400 or failed:
            problem = read_problem(body, list(self._fields.values())) or Problem(message="user name or password")
            raise AuthError(f"Clarity sign-in refused, status {answer.status}: {problem.message}")
        found = dict(_COOKIE.findall(answer.headers.get("set-cookie", "")))
        if answer.status >= 300 or not found:
            raise TransientError(f"Clarity sign-in: status {answer.status} without a session; is the base URL right?")
        return "; ".join(f"{name}={value}" for name, value in found.items())
