"""Clients of the two providers, Calendly and Stripe, in plain Python: no Flask, no database, no ``bookingapp.core``."""
