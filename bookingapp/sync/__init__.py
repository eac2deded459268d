"""Asks the providers for what their webhooks did not deliver, and keeps the webhook subscriptions alive."""
