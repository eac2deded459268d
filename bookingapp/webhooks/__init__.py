"""What the providers tell us: verified, kept, answered; applied later by the worker."""
