"""The stand-in Calendly: its API, OAuth, booking pages and webhooks."""
