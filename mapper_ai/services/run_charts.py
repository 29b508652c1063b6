"""Pictures of the work as Vega-Lite: what was settled when, how long it waited, which runs there were. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from mapper_ai.services.runner_control import Past

COLOURS: Final = {"done": "#2e8540", "held": "#d08700", "dead": "#c5283d", "skipped": "#8a8f98"}
WORDS: Final = {"done": "done", "held": "held", "dead": "set aside", "skipped": "skipped"}
_RUNS: Final = {"run": "Run", "dry-run": "Dry run", "backfill": "Backfill"}
_DAY_S: Final = 86_400
_PHASES: Final = {"done": "#2e8540", "failed": "#c5283d"}


def throughput(pace: Mapping[str, Any]) -> dict[str, Any]:
    """Events settled by time, stacked by what became of them."""
    rows = [
        {"at": step["at"], "what": WORDS[state], "events": step[state]}
        for step in pace["steps"]
        for state in WORDS
        if step[state]
    ]
    return {
        "data": {"values": rows},
        "mark": {"type": "bar", "tooltip": True, "width": {"band": 1}},
        "encoding": {
            "x": _time(pace),
            "y": {"field": "events", "type": "quantitative", "title": "events settled", "axis": {"tickMinStep": 1}},
            "color": {
                "field": "what",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(WORDS.values()), "range": list(COLOURS.values())},
                "legend": {"orient": "top"},
            },
        },
        "height": 230,
    }


def waiting(pace: Mapping[str, Any]) -> dict[str, Any]:
    """How long the slowest event of each step had waited."""
    rows = [{"at": step["at"], "seconds": step["wait_s"]} for step in pace["steps"] if any(step[s] for s in WORDS)]
    return {
        "data": {"values": rows},
        "mark": {"type": "line", "tooltip": True, "point": True, "color": "#2479c8"},
        "encoding": {
            "x": _time(pace),
            "y": {"field": "seconds", "type": "quantitative", "title": "longest wait, seconds"},
        },
        "height": 230,
    }


def runs(history: Sequence[Past]) -> dict[str, Any]:
    """Each run as a bar from its start to its end."""
    rows = [
        {
            "kind": _RUNS.get(past.kind, past.kind),
            "start": _moment(past.started_at),
            # A second at least, so that a short run is seen.
            "end": _moment(max(past.ended_at, past.started_at + 1)),
            "result": past.phase,
            "did": past.words,
        }
        for past in history
    ]
    length_s = max(past.ended_at for past in history) - min(past.started_at for past in history) if history else 0
    axis = {"format": "%H:%M:%S" if length_s < _DAY_S else "%b %d %H:%M", "tickCount": 6}
    return {
        "data": {"values": rows},
        "mark": {"type": "bar", "height": {"band": 0.6}, "cornerRadius": 2},
        "encoding": {
            "x": {"field": "start", "type": "temporal", "title": "UTC", "scale": {"type": "utc"}, "axis": axis},
            "x2": {"field": "end"},
            "y": {"field": "kind", "type": "nominal", "title": None, "sort": list(_RUNS.values())},
            "color": {
                "field": "result",
                "type": "nominal",
                "title": None,
                "scale": {"domain": list(_PHASES), "range": list(_PHASES.values())},
                "legend": {"orient": "top"},
            },
            "tooltip": [{"field": name, "type": "nominal"} for name in ("kind", "start", "end", "result", "did")],
        },
        "height": {"step": 30},
    }


def _time(pace: Mapping[str, Any]) -> dict[str, Any]:
    steps = pace["steps"]
    scale = {"type": "utc", "domain": [steps[0]["at"], steps[-1]["at"]]}
    written = "%H:%M" if pace["span_s"] <= _DAY_S else "%b %d"
    return {"field": "at", "type": "temporal", "title": "UTC", "scale": scale, "axis": {"format": written}}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
