"""Mail: what mails say, and how they are sent."""
