"""`python -m tests.fuzz --minutes N [--part P] [--seed S]`: fuzz on, and print each fault's seed.

Goes on after a fault and ends with status 1 when there was one that is not known. A fault is done
again by its part and seed: `--part scan --seed 41 --once`. With `--coverage`, where atheris is
installed (`pip install atheris`; it is no dependency), the codec or the certificates are fuzzed by
coverage instead, until it crashes or the time is up.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from random import Random

from tlscheck.core.registry import Version
from tlscheck.core.reply import Hangup, Hello, Silent

from . import corpus, hold, mutate, samples

STEP = 200  # mutations of one seed of the smaller parts


def certificates(seed: int) -> list[str]:
    chance, whole = Random(seed), list(samples.certificates().values())
    for _ in range(STEP):
        data = mutate.any_of(chance.choice(whole), chance)
        try:
            hold.certificate(data)
        except Exception as fault:
            fault.add_note(data.hex())
            raise
    return []


def codec(seed: int) -> list[str]:
    chance, flows = Random(seed), corpus.flows()
    for _ in range(STEP):
        data = mutate.mutated(chance.choice(flows).data, chance)
        version = chance.choice(list(Version))
        try:
            hold.codec(version, data, chance)
        except Exception as fault:
            fault.add_note(f"{version.label}: {data.hex()}")
            raise
    return []


def explorations(seed: int) -> list[str]:
    return [why for nth in range(STEP) for why in hold.explored(seed * STEP + nth)]


PARTS: dict[str, Callable[[int], list[str]]] = {
    "certificates": certificates,
    "codec": codec,
    "explorations": explorations,
    "scan": hold.scan_of,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--once", action="store_true", help="this one seed alone")
    parser.add_argument("--coverage", choices=("certificates", "codec"))
    words = parser.parse_args()
    if words.coverage:
        return coverage(words.coverage, words.minutes)
    parts = words.part or list(PARTS)
    ends, seed, runs = time.monotonic() + 60 * words.minutes, words.seed, 0
    known, fresh = Counter[str](), Counter[str]()
    print(f"from seed {seed}: {', '.join(parts)}", flush=True)
    while runs == 0 or (time.monotonic() < ends and not words.once):
        part = parts[runs % len(parts)]
        try:
            broken = PARTS[part](seed)
        except Exception as fault:
            broken = [f"raised: {type(fault).__name__}: {str(fault)[:200]}"]
            traceback.print_exc()
        for why in broken:
            count = fresh if [why] else known
            kind = f"{part}: {why.partition(':')[0]}"
            count[kind] += 1
            if count is fresh or count[kind] == 1:
                print(f"--part {part} --seed {seed} --once  # {why}", flush=True)
        runs += 1
        if runs % len(parts) == 0:
            seed += 1
    print(f"{runs} runs, the last of seed {seed}; new: {dict(fresh)}; known: {dict(known)}")
    return 1 if fresh else 0


def coverage(part: str, minutes: float) -> int:
    """Let atheris look for inputs that take new ways. It ends the process itself."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["tlscheck"], enable_loader_override=False):
        for name in [name for name in sys.modules if name.startswith("tlscheck")]:
            del sys.modules[name]
        from tlscheck.core import registry, wire
        from tlscheck.io import certificates as reader
    causes = (Hangup("closed"), Silent("read"))

    def one(data: bytes) -> None:
        if part == "certificates":
            reader.read(data)
            return
        version = list(registry.Version)[data[0] % 6 if data else 0]
        hello = Hello(version, ())
        cause = causes[len(data) % 2]
        replies = []
        for step in (len(data), 1 + len(data) % 7):
            feed = wire.Reader(hello)
            for at in range(1, len(data), max(1, step)):
                feed.feed(data[at : at + max(1, step)])
            replies.append(type(feed.end(cause)))
        assert replies[0] is replies[1], replies

    corpus_of = {
        "certificates": list(samples.certificates().values()),
        "codec": [bytes([list(Version).index(f.version)]) + f.data for f in corpus.flows()],
    }[part]
    import tempfile
    from pathlib import Path

    directory = tempfile.mkdtemp(prefix="tlscheck-fuzz-")
    for nth, data in enumerate(corpus_of):
        (Path(directory) / str(nth)).write_bytes(data)
    limits = [f"-max_total_time={int(60 * minutes)}", "-max_len=8192", "-timeout=2"]
    print(f"corpus in {directory}", flush=True)
    atheris.Setup([sys.argv[0], directory, *limits], one)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
