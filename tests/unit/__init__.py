"""Rules and small pieces: no application, no database."""
