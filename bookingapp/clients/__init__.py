"""Clients' sign-in: an e-mail address that is verified by a link, without a password."""
