"""What every feature uses: settings, database, jobs, clock, money, errors, logs. It imports no feature."""
