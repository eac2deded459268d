"""Fetches from the providers what their webhooks did not deliver, and keeps the webhook subscriptions working."""
