"""Review of mapping changes: both sides read from git, compared by meaning, shown by what they do to samples."""
