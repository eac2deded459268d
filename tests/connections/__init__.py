"""Builders' own Calendly accounts, against the sandbox over HTTP."""
