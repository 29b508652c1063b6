"""Both systems' books of a period, side by side: what agrees, what is missing, extra or different, and why."""
