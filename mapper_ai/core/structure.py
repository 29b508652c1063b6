"""Arrays: which source list feeds which target list, and what that means for the fields inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mapper_ai.core.fields import FieldProfile
from mapper_ai.core.signals import Matrix

# A list beats the fields outside lists when it explains at least this share of what they explain: order lines are
# a list on both sides even when some of their fields have a twin in the header.
_LIST_SHARE = 0.8
_NAME_BONUS = 0.35


def align_arrays(
    source: Sequence[FieldProfile],
    target: Sequence[FieldProfile],
    confidence: Matrix,
    name_similarity: Mapping[tuple[str, str], float],
) -> dict[str, str]:
    """For every target array the source array that feeds it, "" for the record itself.

    Args:
        source: Rows of `confidence`.
        target: Columns of `confidence`.
        confidence: Confidence of each pair without regard to structure.
        name_similarity: (source array, target array) -> similarity of their own names in [0, 1].

    Returns:
        Target array path -> source array path. A nested target array is aligned inside the alignment of the array
        around it.
    """
    source_arrays = sorted({path for entry in source for path in entry.arrays})
    target_arrays = sorted({path for entry in target for path in entry.arrays}, key=lambda p: (p.count("[]"), p))
    members = {
        path: np.array([number for number, entry in enumerate(source) if path in entry.arrays])
        for path in source_arrays
    }
    plain = np.array([number for number, entry in enumerate(source) if not entry.arrays], dtype=np.intp)
    aligned: dict[str, str] = {}
    for array in target_arrays:
        own = [number for number, entry in enumerate(target) if entry.arrays[-1:] == (array,)]
        inside = own or [number for number, entry in enumerate(target) if array in entry.arrays]
        outer = next((path for path in sorted(aligned, reverse=True) if array.startswith(path) and path != array), None)
        around = aligned.get(outer, "") if outer else ""
        scores = {"": _explained(confidence, plain, inside)}
        for path in source_arrays:
            if around and not path.startswith(around):
                continue
            bonus = _NAME_BONUS * name_similarity.get((path, array), 0.0)
            # Deeper lists hold fewer fields that could explain the target; they must win by what they explain.
            scores[path] = _explained(confidence, members[path], inside) * (1.0 + bonus)
        best = max(scores, key=lambda path: (round(scores[path], 6), -path.count("[]"), path))
        lists = {path: score for path, score in scores.items() if path}
        if not best and lists:
            rival = max(lists, key=lambda path: (round(lists[path], 6), -path.count("[]"), path))
            if lists[rival] >= _LIST_SHARE * scores[""] and lists[rival] > 0.3:
                best = rival
        aligned[array] = best
    return aligned


def _explained(confidence: Matrix, rows: np.ndarray[tuple[int, ...], np.dtype[np.intp]], columns: list[int]) -> float:
    if not len(rows) or not columns:
        return 0.0
    return float(confidence[np.ix_(rows, np.array(columns))].max(axis=0).sum())


def structure_signal(
    source: Sequence[FieldProfile], target: Sequence[FieldProfile], aligned: Mapping[str, str]
) -> Matrix:
    """How a pair fits the alignment of arrays: 0 fits, down to -1 (from another list: not allowed)."""
    places = sorted({entry.arrays for entry in source})
    goals = sorted({entry.arrays for entry in target})
    lengths: dict[tuple[str, ...], int] = {}
    for entry in source:
        lengths[entry.arrays] = max(lengths.get(entry.arrays, 0), entry.list_length)
    table = np.array(
        [[_fit(place, goal, aligned, lengths[place]) for goal in goals] for place in places], dtype=np.float32
    )
    rows = [places.index(entry.arrays) for entry in source]
    columns = [goals.index(entry.arrays) for entry in target]
    result: Matrix = table[np.ix_(rows, columns)]
    return result


def _fit(place: tuple[str, ...], goal: tuple[str, ...], aligned: Mapping[str, str], length: int) -> float:
    if not goal:
        # A header field from a list means "take the first"; harmless when the list never has a second.
        if not place:
            return 0.0
        return -0.25 if length <= 1 else -0.5
    array = aligned.get(goal[-1], "")
    if not array:
        return 0.0 if not place else -0.5
    if not place:
        return -0.4
    if array in place:
        return 0.0 if place[-1] == array else -0.15
    if place[-1] in array:
        return -0.4
    return -1.0


def is_allowed(source: FieldProfile, target: FieldProfile, aligned: Mapping[str, str]) -> bool:
    """Structural limit: a field inside a list comes from the aligned list, a list around it, or the record."""
    if not target.arrays or not source.arrays:
        return True
    array = aligned.get(target.arrays[-1], "")
    return not array or array in source.arrays or array.startswith(source.arrays[-1])
