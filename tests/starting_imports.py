"""What the commands of `mapper-sync` import when they work, for the fork server of `tests.starting`."""

from sync import (  # noqa: F401
    __main__,
    alerts,
    audit,
    flow,
    forget,
    inbox,
    ledger,
    poll,
    records,
    runner,
    status,
    story,
    top,
)
