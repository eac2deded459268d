"""Accounts: passwords, links, log-ins, second steps, throttling."""
