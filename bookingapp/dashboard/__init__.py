"""The builders' private pages: each shows its own builder's things, and nothing of anybody else's."""
