"""The pure part: no socket, file, clock, randomness or environment is touched in here."""
