"""Clients: the link, the verified address, and the session types that ask for one."""
