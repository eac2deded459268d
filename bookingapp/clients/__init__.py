"""Clients: no passwords; an e-mail address, verified by a link that works once."""
