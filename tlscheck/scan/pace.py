"""How many connections at once to one address, and how soon after one another.

As TCP does it: at trouble fewer and slower at once, then a little more after each good answer.
The clock is an argument. Pure but for its own state.
"""

from __future__ import annotations

from collections import deque

# Seconds between connections: the first brake, and the longest (while most answers are good, and
# while most are not).
FIRST_GAP, LONG_GAP, LONGEST_GAP = 0.01, 0.1, 0.5
BRAKE, EASE = 1.5, 0.97  # what a fault and a good answer do to the gap
CUT_EVERY = 0.25  # seconds: one burst of faults is one reason to slow down
WINDOW = 1.0  # seconds over which our own rate is counted


class Pace:
    """`at_once` connections may be open, each `gap` seconds after the last; grown by `good`
    answers up to `most`, cut by `bad` ones."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.at_once = float(most)
        self.gap = 0.0
        self._faults = 0.0  # share of bad answers, lately
        self._next = 0.0
        self._cut = float("-inf")
        self._starts: deque[float] = deque()

    def reserve(self, now: float) -> float:
        """Seconds to wait before the next connection may start; its place is taken."""
        at = max(now, self._next)
        self._next = at + self.gap
        self._starts.append(at)
        while self._starts[0] < now - WINDOW:
            self._starts.popleft()
        return at - now

    def good(self) -> None:
        """The server answered."""
        self._faults *= 0.95
        self.at_once = min(float(self.most), self.at_once + 0.5 / self.at_once)
        self.gap = self.gap * EASE if self.gap > FIRST_GAP / 2 else 0.0

    def bad(self, now: float) -> None:
        """The server hung up or said nothing."""
        self._faults = self._faults * 0.95 + 0.05
        if now - self._cut < max(CUT_EVERY, self.gap):
            return
        self._cut = now
        self.at_once = max(1.0, self.at_once / 2)
        # A limit on connections a second is just below what we have made in the last one.
        counted = WINDOW * 1.3 / len(self._starts) if len(self._starts) > 10 else FIRST_GAP
        longest = LONGEST_GAP if self._faults > 0.5 else LONG_GAP
        self.gap = min(longest, max(self.gap * BRAKE, FIRST_GAP, counted))
