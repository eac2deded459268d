"""The two providers, in plain Python: no web framework, no database, nothing of ours above this line."""
