"""Nights that go wrong: killed, raced, out of room, and with changes planted between them.

`python -m tests.nights kills --times 200`, `races --times 100`, `faults`, `planted`, `year`;
`test_nights` holds a few of each. The servers are real and in this process (`town`), so it is known
who was asked how often.
"""
