"""Hostile input: what mutates, what is mutated, and what must hold all the same."""
