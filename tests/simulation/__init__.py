"""A seeded, deterministic simulation of the whole domain: virtual time, simulated providers, faults and crashes.

The application's own code does everything; only the two providers, the people, the network and the clock are
simulated. ``python -m tests.simulation --seeds 1000`` runs it, and a seed that fails replays exactly.
"""
