"""Two nights with a change of each kind planted between them: a diff names those, and no other."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from tests.cli.program import run
from tlscheck.io import store
from tlscheck.lab.authority import SUITES

from .town import STEADY, Manner, Town, town

CLOSED = Manner(lowest=None)
SINCE_1_0, SINCE_1_1 = Manner(lowest="TLSv1.0"), Manner(lowest="TLSv1.1")
FEWER, BACKWARDS = Manner(suites=SUITES[:-1]), Manner(suites=SUITES[::-1])
ONE_GROUP, OTHER_GROUP = Manner(group="prime256v1"), Manner(group="secp384r1")
SUITE = "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"
VERSIONS = "aws-iam-2020/transit-versions"
ORDER = "TLSv1.2 order: server: "


@dataclass(frozen=True)
class Plant:
    """How a server is in the first night and in the second, `None` where it is not in the catalog;
    and the weight and the first words of each change that is to be named."""

    before: Manner | None
    after: Manner | None
    says: tuple[str, ...] = ()


PLANTS = {
    "steady": Plant(STEADY, STEADY),
    "version_came": Plant(STEADY, SINCE_1_1, ("changed: TLSv1.1 now offered",)),
    "version_went": Plant(SINCE_1_1, STEADY, ("changed: TLSv1.1 no longer offered",)),
    "broke": Plant(
        SINCE_1_1, SINCE_1_0,
        (f"broke: {VERSIONS}: exceeds -> fail", "changed: TLSv1.0 now offered"),
    ),
    "healed": Plant(
        SINCE_1_0, SINCE_1_1,
        (f"healed: {VERSIONS}: fail -> exceeds", "changed: TLSv1.0 no longer offered"),
    ),
    "suite_came": Plant(FEWER, STEADY, (f"changed: TLSv1.2 suites: +{SUITE}",)),
    "suite_went": Plant(STEADY, FEWER, (f"changed: TLSv1.2 suites: -{SUITE}",)),
    "order": Plant(STEADY, BACKWARDS, (f"changed: {ORDER}TLS_ECDHE_RSA_WITH_AES_128_GCM",)),
    "groups": Plant(
        ONE_GROUP, OTHER_GROUP,
        ("changed: TLSv1.2 groups: +secp384r1 -secp256r1",
         "changed: TLSv1.3 groups: +secp384r1 -secp256r1"),
    ),
    "sight_lost": Plant(STEADY, CLOSED, ("sight: sight lost: everything",)),
    "sight_regained": Plant(CLOSED, STEADY, ("sight: sight regained: everything",)),
    "added": Plant(None, STEADY, ("changed: added to the catalog",)),
    "removed": Plant(STEADY, None, ("changed: removed from the catalog",)),
    "moved": Plant(STEADY, STEADY),
}  # fmt: skip
TEN = [name for name in PLANTS if not name.startswith("sight")][:10]


def two_nights(place: Path, *, resets: float, depth: str, only: Collection[str]) -> list[str]:
    """What is wrong with the diff of two nights; `resets` is the share of connections that are
    reset on ten of the servers, in both. Sight that this has cost is no change of a server."""
    plants = {name: plant for name, plant in PLANTS.items() if name in only}

    def manner(name: str, planned: Manner | None) -> Manner:
        return replace(planned or CLOSED, resets=resets if name in TEN else 0.0)

    with town(place / "town", **{n: manner(n, p.before) for n, p in plants.items()}) as servers:
        (place / "ca.pem").write_bytes(servers.bundle.read_bytes())
        before = [name for name, plant in plants.items() if plant.before]
        _night(place, servers, before, [], depth)
        servers.behave(**{n: manner(n, p.after) for n, p in plants.items()})
        after = [name for name, plant in plants.items() if plant.after]
        moved = [name for name in after if name == "moved"]
        _night(place, servers, after[::-1], moved, depth, "--policy", "aws-current",
               "--policy", "aws-iam-2020")  # fmt: skip
    old = store.kept(place / "reports")[0]
    old.write_text(old.read_text().replace('"version":"', '"version":"0.0.', 1))
    first, second = (store.read(path).run.id for path in store.kept(place / "reports"))
    done = run("diff", first, second, "--format", "json", cwd=place)
    assert done.returncode == 1, done.stderr
    if depth != "quick":  # a server that is built anew has a new certificate, too
        plants = {name: replace(p, says=(*p.says, *_renewal(p))) for name, p in plants.items()}
    return _wrong(json.loads(done.stdout), plants)


def _renewal(plant: Plant) -> tuple[str, ...]:
    anew = plant.before != plant.after and {plant.before, plant.after}.isdisjoint((None, CLOSED))
    return ("routine: certificate renewed",) if anew else ()


def _night(
    place: Path, servers: Town, names: list[str], moved: list[str], depth: str, *policies: str
) -> None:
    (place / "e.toml").write_text(servers.data_file(names, moved))
    done = run("scan", "--endpoints", "e.toml", "--ca-bundle", "ca.pem", "--depth", depth,
               *policies, cwd=place)  # fmt: skip
    assert done.returncode in (0, 1, 3) and done.stderr == "", done.stderr


def _wrong(document: dict[str, list[dict[str, str]]], plants: dict[str, Plant]) -> list[str]:
    named: dict[str, list[str]] = {name: [] for name in plants}
    for change in document["changes"]:
        named[change["endpoint"]].append(f"{change['weight']}: {change['says']}")
    wrong = []
    for name, plant in plants.items():
        if plant.before and plant.after and CLOSED not in (plant.before, plant.after):
            named[name] = [said for said in named[name] if not said.startswith("sight: ")]
        fits = len(named[name]) == len(plant.says) and all(
            said.startswith(words)
            for said, words in zip(sorted(named[name]), sorted(plant.says), strict=True)
        )
        if not fits:
            wrong.append(f"{name}: planted {list(plant.says)}, named {named[name]}")
    made = [said.partition(":")[0] for said in map(str, document["circumstances"])]
    expected = [*(["data files"] if "moved" in plants else []), "tool", "policies"]
    if made != expected:
        wrong.append(f"circumstances: {document['circumstances']}")
    return wrong
