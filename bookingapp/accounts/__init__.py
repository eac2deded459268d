"""Accounts of builders and operators: passwords, and log-ins that the server can end."""
