"""Mail: what is said, to whom, how often, and how it is sent."""
