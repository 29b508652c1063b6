"""Examines an account for what the public facts leave open, and writes down what it found."""
