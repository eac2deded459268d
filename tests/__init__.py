"""The tests. What each folder is for stands in its own ``__init__``."""
