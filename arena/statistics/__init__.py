"""What the votes say, how surely, and for whom it holds: pure functions on arrays, each with its source."""
