"""Services on a real database, SQLite and PostgreSQL, with the providers answering in their wire formats."""
