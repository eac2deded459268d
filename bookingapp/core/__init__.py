"""The ground that every feature stands on: settings, database, clock, money, queue. It knows no feature."""
