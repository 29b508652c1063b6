"""Trains the scorer: reads gold cases, makes further ones, fits, calibrates, measures, writes the artefact."""
