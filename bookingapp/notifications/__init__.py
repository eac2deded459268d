"""Mail: what people are told, in words, and how it leaves the house."""
