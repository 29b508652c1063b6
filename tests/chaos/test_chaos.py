"""A short stream through real processes under faults and kills; `make chaos` is the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Chaos, chaos_run


@pytest.mark.parametrize(("store", "seed"), [("sqlite", 11), ("postgresql", 12)])
def test_nothing_is_lost_doubled_out_of_order_or_wrong(
    request: pytest.FixtureRequest, tmp_path: Path, store: str, seed: int
) -> None:
    """On SQLite one process, on PostgreSQL three."""
    url = f"sqlite:///{tmp_path / 'store.db'}" if store == "sqlite" else request.getfixturevalue("postgres_url")
    chaos = Chaos(seed, 30, processes=1 if store == "sqlite" else 3, kill_every_s=2.0, most_kills=2, within_s=80)
    verdict = chaos_run(chaos, url, tmp_path)
    assert verdict.findings == [], str(verdict)
    assert verdict.kills
    assert len(verdict.faults) > 3
