"""The suggester's pure core: records in, ranked sources for every target out.

Nothing is re-exported: masking and the review need its words about personal values, and not rapidfuzz and numpy.
"""
