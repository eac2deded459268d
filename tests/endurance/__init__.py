"""What must hold whatever breaks: real processes, killed and cut off in the middle of real work."""
