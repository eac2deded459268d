"""Book and pay for an hour with a builder.

Importing this package does nothing: the application is assembled in :mod:`bookingapp.factory`, so that a
state machine or a client can be imported without Flask.
"""
