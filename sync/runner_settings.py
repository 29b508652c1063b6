"""``[runner]`` of mapper.toml: how ``serve`` and ``work`` work."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RunnerSettings(BaseModel):
    """How the lasting processes work.

    Attributes:
        engine: "dbos" also wakes the other processes on the same store; "inprocess" leaves that to their sweeps.
        workers: Records worked on at the same time, of different customers; 0 takes webhooks only.
        shutdown_s: Longest wait for the writes in hand when told to stop, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["dbos", "inprocess"] = "dbos"
    workers: int = Field(default=4, ge=0, le=64)
    shutdown_s: float = Field(default=20.0, gt=0, le=3600)
