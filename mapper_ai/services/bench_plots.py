"""Draws a bench report: reliability, risk against coverage, bars a case; as PNG, and as one HTML without requests."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import vl_convert

from mapper_ai.core.evaluation import BINS, Figure, calibration_error, pooled, risk_coverage
from mapper_ai.services.atomic import write_text
from mapper_ai.services.bench import Report

_BLUE, _ORANGE, _GREY = "#2f6fb0", "#d07a2d", "#8a8a8a"
_SCALE: Final = 2.0
_CONFIG: Final = {
    "font": "DejaVu Sans",
    "background": "white",
    "axis": {"labelFontSize": 11, "titleFontSize": 12, "grid": True, "gridColor": "#ececec"},
    "title": {"fontSize": 14, "anchor": "start"},
    "view": {"stroke": "#cccccc"},
}
_STYLE: Final = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}svg{max-width:100%;height:auto}"""


def plots(report: Report) -> dict[str, dict[str, Any]]:
    """Name -> Vega-Lite description of each plot."""
    return {"reliability": _reliability(report), "risk-coverage": _risk(report), "cases": _cases(report)}


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write the PNG files and `bench.html` into a folder, made if needed; gives their paths.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    pictures: dict[str, str] = {}
    for name, plot in plots(report).items():
        path = folder / f"{name}.png"
        path.write_bytes(vl_convert.vegalite_to_png(plot, scale=_SCALE))
        pictures[name] = vl_convert.vegalite_to_svg(plot)
        written.append(path)
    page = folder / "bench.html"
    write_text(page, _page(report, pictures))
    return [*written, page]


def _reliability(report: Report) -> dict[str, Any]:
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    points = pooled(list(report.cases.values()))
    for confidence, right in points:
        bins[min(BINS - 1, int(confidence * BINS))].append((confidence, right))
    rows = [
        {
            "confidence": sum(confidence for confidence, _ in found) / len(found),
            "right": sum(right for _, right in found) / len(found),
            "count": len(found),
        }
        for found in bins
        if found
    ]
    error = calibration_error(points)
    side = {"scale": {"domain": [0, 1]}, "type": "quantitative"}
    return _plot(
        f"Confidence and truth (calibration error {_number(error)})",
        420,
        420,
        {
            "layer": [
                {
                    "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
                    "mark": {"type": "line", "strokeDash": [4, 4], "color": _GREY},
                    "encoding": {"x": {"field": "x", **side}, "y": {"field": "y", **side}},
                },
                {
                    "data": {"values": rows},
                    "mark": {"type": "line", "color": _BLUE},
                    "encoding": {
                        "x": {"field": "confidence", "title": "confidence, mean of the bin", **side},
                        "y": {"field": "right", "title": "share that is right", **side},
                    },
                },
                {
                    "data": {"values": rows},
                    "mark": {"type": "circle", "color": _BLUE, "opacity": 0.9},
                    "encoding": {
                        "x": {"field": "confidence", **side},
                        "y": {"field": "right", **side},
                        "size": {"field": "count", "type": "quantitative", "title": "suggestions"},
                    },
                },
            ]
        },
    )


def _risk(report: Report) -> dict[str, Any]:
    curve = risk_coverage(pooled(list(report.cases.values())))
    return _plot(
        f"Errors by coverage (area {_number(report.figures['AURC'].value)})",
        520,
        320,
        {
            "data": {"values": [{"coverage": coverage, "errors": risk} for coverage, risk in curve]},
            "mark": {"type": "line", "color": _ORANGE},
            "encoding": {
                "x": {
                    "field": "coverage",
                    "type": "quantitative",
                    "title": "share of suggestions taken, surest first",
                    "axis": {"format": "%"},
                },
                "y": {
                    "field": "errors",
                    "type": "quantitative",
                    "title": "share of them that is wrong",
                    "axis": {"format": "%"},
                },
            },
        },
    )


def _cases(report: Report) -> dict[str, Any]:
    rows = [
        {"case": name, "measure": measure, "value": value}
        for name, score in report.cases.items()
        for measure, value in (("MRR", score.mrr), ("Recall@1", score.recall_at_1), ("F1", score.f1))
    ]
    return _plot(
        "Measures by case",
        520,
        None,
        {
            "data": {"values": rows},
            "mark": {"type": "bar"},
            "encoding": {
                "y": {"field": "case", "type": "nominal", "title": None, "axis": {"labelLimit": 320}},
                "yOffset": {"field": "measure", "sort": ["MRR", "Recall@1", "F1"]},
                "x": {"field": "value", "type": "quantitative", "scale": {"domain": [0, 1]}, "title": None},
                "color": {
                    "field": "measure",
                    "type": "nominal",
                    "title": None,
                    "sort": ["MRR", "Recall@1", "F1"],
                    "scale": {"range": [_BLUE, "#7fb0dd", _ORANGE]},
                },
            },
        },
    )


def _plot(title: str, width: int, height: int | None, content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": title,
        "width": width,
        "height": height if height is not None else {"step": 12},
        "config": _CONFIG,
        **content,
    }


def _page(report: Report, pictures: Mapping[str, str]) -> str:
    measured = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{_number(figure.value)}</td><td>{_interval(figure)}</td></tr>"
        for name, figure in report.figures.items()
    )
    cases = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{score.gold}</td><td>{score.mrr:.3f}</td><td>{score.recall_at_1:.3f}</td>"
        f"<td>{score.f1:.3f}</td><td>{_number(score.ece)}</td></tr>"
        for name, score in report.cases.items()
    )
    how = "each group scored by a scorer that had not seen it" if report.held_out else "scored as it is"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Suggestions against gold</title>'
        f"<style>{_STYLE}</style></head><body><h1>Suggestions against gold</h1>"
        f"<p>{len(report.cases)} cases in {len(report.groups)} groups, {how}. "
        "Intervals (95 %) by drawing groups with replacement.</p>"
        f"<table><tr><th>measure</th><th>value</th><th>interval</th></tr>{measured}</table>"
        f"{pictures['reliability']}{pictures['risk-coverage']}"
        "<table><tr><th>case</th><th>gold</th><th>MRR</th><th>Recall@1</th><th>F1</th><th>ECE</th></tr>"
        f"{cases}</table>{pictures['cases']}</body></html>\n"
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(figure: Figure) -> str:
    return "–" if figure.low is None or figure.high is None else f"{figure.low:.3f} to {figure.high:.3f}"
