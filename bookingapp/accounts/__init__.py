"""Builders' accounts: a password, and log-ins that can be ended from our side."""
