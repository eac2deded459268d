"""Session types: their free times, order and set-up, and what changes in Calendly mean for them."""
