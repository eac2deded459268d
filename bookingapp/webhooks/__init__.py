"""Deliveries of the providers: verified, stored and answered by the endpoints, applied later by the worker."""
