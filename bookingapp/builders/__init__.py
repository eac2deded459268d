"""Builders: the directory and their public profiles. Nothing here calls a provider."""
