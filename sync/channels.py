"""The one module that speaks to Apprise, which speaks to mail servers, chats and webhooks by its own means."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sync.alerts import Send, Sent
from sync.errors import SettingsError

if TYPE_CHECKING:
    import apprise

log = logging.getLogger(__name__)


def open_channels(urls: Sequence[str]) -> Send:
    """A function that sends title, text and whether it is bad news to every address; it never raises.

    Raises:
        SettingsError: Apprise does not know an address; it is named by its place, for it holds a secret.
    """
    import apprise

    # Their lines quote addresses, and those hold secrets.
    for name in ("apprise", "urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    opened: list[tuple[str, apprise.Apprise]] = []
    for position, url in enumerate(urls, start=1):
        one = apprise.Apprise()
        if not one.add(url):
            raise SettingsError(
                f"MAPPER_ALERT_URLS: address {position} is none that Apprise knows (https://appriseit.com/services/)"
            )
        opened.append((f"{position} ({urlsplit(url).scheme})", one))

    def send(title: str, text: str, bad: bool) -> Sent:
        failed = [name for name, one in opened if not _told(one, title, text, bad)]
        return Sent(len(opened) - len(failed), tuple(failed))

    return send


def _told(channel: apprise.Apprise, title: str, text: str, bad: bool) -> bool:
    import apprise

    kind = apprise.NotifyType.FAILURE if bad else apprise.NotifyType.SUCCESS
    try:
        return bool(channel.notify(body=text, title=title, notify_type=kind))
    except Exception as error:  # whatever a plug-in raises: it counts as failed and is tried again
        log.error("alert channel failed", exc_info=error)
        return False
