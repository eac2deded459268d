"""Is the application alive, is it ready, and what are its numbers: for those who run it."""
