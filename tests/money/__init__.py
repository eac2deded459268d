"""The money of a booking, with both providers as the sandbox plays them and every webhook on its way over HTTP."""
