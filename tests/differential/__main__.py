"""`python -m tests.differential [SERVER...]`: the table of what was compared, and the reasons."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.servers.catalogue import ALL

from .clients import CLIENTS, ask
from .compare import compared, complaints, disagreements, matching
from .reasons import REASONS


def main() -> int:
    asked, differ, used = Counter[str](), Counter[tuple[str, str]](), Counter[int]()
    bad: list[str] = []
    for name, start in ALL:
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as place, start(Path(place)) as server:
            mine, theirs = ask(server, Path(place))
        for client, answers in theirs.items():
            found = disagreements(mine, answers)
            asked[client] += compared(answers)
            differ.update((client, each.theirs.verdict) for each in found)
            bad += complaints(name, client, found, REASONS)
            for at, reason in enumerate(REASONS):
                if reason.client == client:
                    used[at] += sum(matching(reason, name, each) for each in found)
    print("| client | pairs compared | opposite answers | gave up | could not ask |")
    print("|---|--:|--:|--:|--:|")
    for client in CLIENTS:
        opposite = differ[client, "yes"] + differ[client, "no"]
        rest = f"{differ[client, 'broken']} | {differ[client, 'cannot']}"
        print(f"| {client} | {asked[client]} | {opposite} | {rest} |")
    print()
    for at, reason in enumerate(REASONS):
        where = ", ".join(f"{s} {'/'.join(v)}" for s, v in reason.where.items())
        print(f"- {reason.client}, {where}, {', '.join(reason.what)}: {reason.says} ({used[at]}x). "
              f"{reason.because}")  # fmt: skip
    print("\n".join(["", *bad]) if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
