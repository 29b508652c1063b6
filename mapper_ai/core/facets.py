"""Facets of amounts and dates that two names can agree or differ on: with or without tax, whose currency, which end.

`total_price_tax_incl` and `gross_total` are one facet, `total_excl_tax` the other. A name without the word takes no
side. The words are plain ones of business systems in several languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mapper_ai.core.names import FieldMeaning
from mapper_ai.core.signals import Matrix, Side

# Facet -> (words of one side, words of the other), after the vocabulary has split and expanded them.
FACETS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(one.split()), frozenset(other.split()))
    for name, one, other in (
        (
            "tax",
            "including inc gross ttc brutto bruto inkl",
            "excluding ex exc net ht netto neto untaxed without before exkl",
        ),
        ("currency", "base company home functional local lcy", "presentment foreign quoted quote counter fc"),
        ("end", "start begin from since first opening", "end finish until expiry expire last closing"),
        ("change", "created create creation added add", "updated update modified modification changed upd"),
        (
            "moment",
            "original list regular initial compare catalog requested ordered",
            "current actual final paid shipped",
        ),
        ("extent", "unit each single piece", "total subtotal sum row extended"),
        ("limit", "minimum min", "maximum max"),
        ("flow", "sale sales selling sell customer", "purchase buying buy supplier vendor"),
    )
}


def facet_signal(source: Side, target: Side) -> Matrix:
    """Agreement of the facets both names speak of, in [-1, 1]; 0 where they have none in common."""
    left, right = _facets(source.meanings), _facets(target.meanings)
    product = left @ right.T
    both = np.abs(left) @ np.abs(right).T
    result: Matrix = np.divide(product, both, out=np.zeros_like(product), where=both > 0).astype(np.float32)
    return result


def _facets(meanings: Sequence[FieldMeaning]) -> Matrix:
    rows = np.zeros((len(meanings), len(FACETS)), dtype=np.float32)
    for number, meaning in enumerate(meanings):
        # The nearest words decide: the leaf's, then those of the object around it.
        words = set(meaning.leaf_words)
        for column, (one, other) in enumerate(FACETS.values()):
            rows[number, column] = float(bool(words & one)) - float(bool(words & other))
    return rows
