"""The budget of requests to one system, kept by all processes of a store together.

The store's row says when the next request may go, and until when none may. Processes take places in small batches, at
most a second ahead, so a transaction serves many requests and a pause is known everywhere within that second. On
PostgreSQL the server's clock counts, on SQLite the machine's own; only durations leave the store, so the clocks of
several machines need not agree.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connectors.errors import RateLimitedError
from sync.envelope import dumps, loads
from sync.prepared import Prepared
from sync.store import Store
from sync.store import budget as budget_table

AHEAD_S: Final = 1.0
BATCH: Final = 20
FREE_BATCH: Final = 100
"""Where there is no limit to share, so that asking costs nothing."""

LONGEST_SLEEP_S: Final = 5.0
"""A longer wait gives the record back, so that nobody sleeps with a customer's lane in hand."""

LONGEST_PAUSE_S: Final = 3600.0
USUAL_PAUSE_S: Final = 2.0  # a 429 that does not say how long
FEWEST_PER_MINUTE: Final = 6.0
ONE_A_SECOND: Final = 60.0  # whoever asks for short pauses takes at least that
STEP_S: Final = 10.0
MOST_PER_MINUTE: Final = 6000.0  # a learned limit above this is none
RISE: Final = 0.1
SHARE: Final = 0.1
_SLOT_S: Final = 5
_KEPT_S: Final = 60.0 + _SLOT_S + AHEAD_S + LONGEST_SLEEP_S  # a place may be used that much after it was given
FEW: Final = 5


@dataclass(frozen=True)
class Line:
    """One row, its moments in the store's clock.

    Attributes:
        per_minute: What was learned from refusals; None while there is nothing to learn from.
        next_at: When the place after the last one given comes, of those that are spread by what was learned.
        window: Places given in the last minute, as JSON: begin and count of every five seconds.
        not_before: No request by anybody until then.
        learned_at: When per_minute was last lowered or raised.
        span_at: Begin of the minute that is being counted; `before_` are the counts of the one before.
    """

    per_minute: float | None = None
    next_at: float = 0.0
    window: str = "[]"
    not_before: float = 0.0
    learned_at: float = 0.0
    span_at: float = 0.0
    span_sent: int = 0
    span_refused: int = 0
    before_sent: int = 0
    before_refused: int = 0
    refused: int = 0


def counted(line: Line, sent: int, now: float) -> Line:
    """With requests that were sent since the last time, in minutes that follow each other."""
    age = now - line.span_at
    if not 0 <= age < 120:
        line = replace(line, span_at=now, span_sent=0, span_refused=0, before_sent=0, before_refused=0)
    elif age >= 60:
        line = replace(
            line,
            span_at=line.span_at + 60,
            span_sent=0,
            span_refused=0,
            before_sent=line.span_sent,
            before_refused=line.span_refused,
        )
    return replace(line, span_sent=line.span_sent + sent)


def raised(line: Line, now: float) -> Line:
    """A learned limit rises by a tenth in every minute without a refusal, until nothing is left of it."""
    if line.per_minute is None or now - max(line.learned_at, line.not_before) < 60:
        return line
    limit = line.per_minute + max(1.0, RISE * line.per_minute)
    return replace(line, per_minute=limit if limit < MOST_PER_MINUTE else None, learned_at=now)


def places(line: Line, ceiling: float | None, now: float) -> tuple[Line, list[float], float]:
    """The next places as seconds from now, the row that has given them away, and the wait where there are none.

    In no minute are more than `ceiling` places given, and a learned limit spreads them evenly: what a system has
    promised may be used at once, what it has refused may not.
    """
    begin = max(now, line.not_before) if line.not_before <= now + LONGEST_PAUSE_S else now
    next_at = line.next_at if line.next_at <= now + LONGEST_PAUSE_S else now  # else the clock was set back
    window = [slot for slot in loads(line.window) if now - _KEPT_S < slot[0] <= now]
    most = BATCH if ceiling is not None or line.per_minute is not None else FREE_BATCH
    if ceiling is not None:
        most = min(BATCH, int(ceiling) - sum(slot[1] for slot in window))
        if most <= 0:
            begin = max(begin, float(window[0][0]) + _KEPT_S)
    every_s = 0.0 if line.per_minute is None else 60 / line.per_minute
    given: list[float] = []
    at = max(begin, next_at) if every_s else begin
    while most > 0 and len(given) < most and at - now <= (AHEAD_S if given else LONGEST_SLEEP_S):
        given.append(at - now)
        at += every_s
    if not given:
        return line, [], max(at - now, 0.1)
    slot_at = int(now / _SLOT_S) * _SLOT_S
    if window and window[-1][0] == slot_at:
        window[-1][1] += len(given)
    else:
        window.append([slot_at, len(given)])
    return replace(line, next_at=at if every_s else 0.0, window=dumps(window)), given, 0.0


def lowered(line: Line, retry_after_s: float | None, now: float) -> Line:
    """After a 429. Everybody pauses, and half of the rate is left, when the system means it.

    It means it when the pause is long, or when more than a tenth of the last minute's requests were refused: one
    refusal with a short pause among many answers is waited for by the one request alone.
    """
    line = replace(line, span_refused=line.span_refused + 1, refused=line.refused + 1)
    pause_s = min(USUAL_PAUSE_S if retry_after_s is None else retry_after_s, LONGEST_PAUSE_S)
    sent, refused = _last_minute(line, now)
    long = pause_s > LONGEST_SLEEP_S
    if pause_s == 0 or (not long and (refused < FEW or refused <= SHARE * sent)):
        return line
    # Those who were under way at the same time tell nothing new, nor does a refusal before the lower speed could help.
    if now >= line.not_before and (long or now - line.learned_at >= STEP_S):
        # A window that is used up tells how much fits into a minute; a share of refusals tells of the speed.
        seen_s = 60.0 if long else min(60.0, max(1.0, now - line.span_at))
        rate = sent * 60 / seen_s
        half = max(FEWEST_PER_MINUTE if long else ONE_A_SECOND, min(rate, line.per_minute or rate) / 2)
        line = replace(line, per_minute=half, learned_at=now)
    return replace(line, not_before=max(line.not_before, now + pause_s))


def _last_minute(line: Line, now: float) -> tuple[float, float]:
    share = 1 - min(1.0, max(0.0, (now - line.span_at) / 60))
    return line.span_sent + line.before_sent * share, line.span_refused + line.before_refused * share


class Budget:
    """Paces the requests of this process to one system (`connectors.http.Pacing`); safe to share between threads."""

    def __init__(
        self,
        store: Store,
        connection: str,
        per_minute: float | None,
        *,
        now: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Ask nothing yet.

        Args:
            store: With the row that all processes share.
            connection: freshbooks or clarity.
            per_minute: Never more than this; None for what is learned alone.
            now: Unix seconds; None for the store's clock.
            clock: Monotonic seconds.
        """
        self._store = store
        self._connection = connection
        self._ceiling = per_minute
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._places: deque[float] = deque()
        self._good_until = 0.0
        self._pause_until = 0.0
        self._sent = 0

    def wait(self) -> None:
        """Take the next place, sleeping for at most five seconds.

        Raises:
            RateLimitedError: It is further away; nothing was sent.
        """
        with self._lock:
            now = self._clock()
            if self._pause_until - now > LONGEST_SLEEP_S:
                raise self._far(self._pause_until - now)
            if not self._places or now > self._good_until:
                self._take(now)
            at = self._places.popleft()
            self._sent += 1
        if at > now:
            self._sleep(at - now)

    def refused(self, retry_after_s: float | None) -> None:
        """Tell everybody of a 429."""
        with self._lock:
            here = self._clock()

            def change(line: Line, now: float) -> Line:
                return lowered(line, retry_after_s, now)

            line, now = self._change(change)
            self._pause_until = here + max(0.0, line.not_before - now)
            self._places.clear()

    def pause_s(self) -> float:
        """Seconds for which nobody may send, as far as this process knows; the store is not asked."""
        return max(0.0, self._pause_until - self._clock())

    def _take(self, here: float) -> None:
        given: list[float] = []
        wait_s = 0.0

        def change(line: Line, now: float) -> Line:
            nonlocal given, wait_s
            line, given, wait_s = places(raised(line, now), self._ceiling, now)
            return line

        line, now = self._change(change)
        self._pause_until = here + max(0.0, line.not_before - now, wait_s)
        if not given:
            raise self._far(wait_s)
        self._places = deque(here + wait_s for wait_s in given)
        self._good_until = self._places[-1] + AHEAD_S

    def _far(self, wait_s: float) -> RateLimitedError:
        return RateLimitedError(f"{self._connection}: its rate limit is used up for {wait_s:.0f} s", wait_s)

    def _change(self, change: Callable[[Line, float], Line]) -> tuple[Line, float]:
        def changed(conn: Connection) -> tuple[Line, float]:
            line, now = self._read(conn)
            line = change(counted(line, self._sent, now), now)
            _PUT(conn, {"of": self._connection, **{f"to_{name}": value for name, value in vars(line).items()}})
            return line, now

        line, now = self._store.transact(changed)
        self._sent = 0
        return line, now

    def _read(self, conn: Connection) -> tuple[Line, float]:
        row = _LINE(conn, {"of": self._connection}).first()
        if row is None:
            first = self._store.insert(budget_table).values(connection=self._connection, **vars(Line()))
            conn.execute(first.on_conflict_do_nothing())
            row = _LINE(conn, {"of": self._connection}).all()[0]
        if self._now is not None:
            now = self._now()
        elif self._store.is_sqlite:
            now = time.time()
        else:
            now = float(conn.scalar(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))) or 0.0)
        return Line(**row._asdict()), now


_OWN: Final = budget_table.c.connection == sa.bindparam("of", type_=sa.Text)
_LINE: Final = Prepared(sa.select(*(budget_table.c[name] for name in vars(Line()))).where(_OWN).with_for_update())
_PUT: Final = Prepared(
    sa.update(budget_table).where(_OWN).values({name: sa.bindparam(f"to_{name}") for name in vars(Line())})
)


def budgets(store: Store, *, now: float) -> dict[str, dict[str, Any]]:
    """How each connection's budget stands, JSON-ready; `now` is only compared, a skew shows in the seconds.

    Returns:
        By connection: the limit learned (None for none), requests and refusals of about the last minute, refusals ever,
        and the seconds nobody sends.
    """
    with store.read() as conn:
        if not sa.inspect(conn).has_table(budget_table.name):
            return {}  # a store that is only read may lack the newest tables
        rows = conn.execute(sa.select(budget_table).order_by(budget_table.c.connection)).mappings().all()
    found = {}
    for row in rows:
        values = dict(row)
        name = values.pop("connection")
        line = Line(**values)
        sent, refused = _last_minute(line, now) if now - line.span_at < 120 else (0.0, 0.0)
        found[name] = {
            "per_minute": None if line.per_minute is None else int(line.per_minute),
            "last_minute": int(sent),
            "refused_last_minute": int(refused),
            "refused": line.refused,
            "pause_s": int(max(0.0, line.not_before - now)),
        }
    return found
