"""Session types: their free times, their order, their set-up, and what becomes of them in Calendly."""
