"""The stand-in Stripe: its API, hosted Checkout page and events."""
