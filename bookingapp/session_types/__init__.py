"""Session types: Calendly's event types with our price, currency, category and *published*."""
