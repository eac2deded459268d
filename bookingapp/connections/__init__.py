"""Connections to Calendly: builders' own accounts by OAuth, the platform's token for all others, and an audit log."""
