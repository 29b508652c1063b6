"""What pages share: pure functions on values, and small pieces of a page."""
