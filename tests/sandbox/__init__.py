"""The stand-in providers, driven over real HTTP by the clients that the real ones are driven with."""
