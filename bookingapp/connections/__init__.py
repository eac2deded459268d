"""Whose token Calendly is asked with: builders' own accounts by OAuth, else the platform's token."""
