"""Hostile text: what it is made of, where it is put, and how what comes out is looked at."""
