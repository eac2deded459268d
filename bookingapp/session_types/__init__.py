"""Session types: Calendly's event types, each with our price, category and whether it is published."""
