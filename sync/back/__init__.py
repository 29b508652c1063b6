"""The way back: what a person changes in FreshBooks is told to Clarity, by safe routes only. Off by default (A43)."""
