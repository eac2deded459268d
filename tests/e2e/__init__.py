"""The whole product over real HTTP: application, worker and stand-in providers as processes of their own."""
