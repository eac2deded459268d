"""Webhook subscriptions: made, repaired, watched, and what was missed meanwhile."""
