"""Ten thousand mutated certificates: none raises, none takes long, none costs more than it must."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlscheck.io.certificates import chain, read

from . import hold, samples
from .giants import GIANTS
from .mutate import Node, any_of, mutated_der, parse

SEEDS = 10  # of a thousand mutations each
MEGABYTES = 16  # for a certificate of half a megabyte


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_thousand_mutated_certificates_hold(seed: int) -> None:
    chance = Random(seed)
    whole = list(samples.certificates().values())
    for nth in range(1000):
        data = any_of(chance.choice(whole), chance)
        try:
            hold.certificate(data)
        except BaseException as fault:
            fault.add_note(f"seed {seed}, mutation {nth}: {data.hex()}")
            raise


@pytest.mark.parametrize("kind", GIANTS)
def test_a_giant_certificate_is_read_in_bounded_time_and_memory(kind: str) -> None:
    data = GIANTS[kind]()
    hold.certificate(data)
    tracemalloc.start()
    try:
        read(data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < MEGABYTES << 20


def _extension(root: Node, chance: Random) -> Node:
    """A node in one of the extensions."""
    assert root.inside and root.inside[0].inside
    listed = root.inside[0].inside[-1]
    assert listed.tag == 0xA3 and listed.inside and listed.inside[0].inside
    return chance.choice(chance.choice(listed.inside[0].inside).all())


BEFORE = ("version", "serial", "issuer", "subject", "not_before", "not_after", "key", "pin")
AFTER = ("names", "basic_constraints", "key_usage", "extended_key_usage", "must_staple", "scts",
         "urls")  # fmt: skip


@pytest.mark.parametrize("kind", samples.TRUTH)
def test_a_mutation_in_one_extension_costs_that_extension_alone(kind: str) -> None:
    whole, chance = samples.certificates()[kind], Random(kind)
    good = read(whole)
    kept = lost = 0
    for _ in range(200):
        found = read(mutated_der(whole, chance, _extension))
        assert {name: found[name] for name in BEFORE} == {name: good[name] for name in BEFORE}
        lost += sum(name not in found for name in AFTER)
        kept += sum(name in found for name in AFTER)
        assert all(found["problems"][name] for name in AFTER if name not in found)
    assert kept > 0.9 * (kept + lost), (kept, lost)


def test_subject_validity_and_key_outlive_most_mutations_elsewhere() -> None:
    """Of bytes flipped one by one over a whole certificate, in share of the fields still right."""
    whole = samples.certificates()["p256"]
    good = read(whole)
    right = every = 0
    for at in range(4, len(whole), 3):
        data = bytearray(whole)
        data[at] ^= 0x41
        found = read(bytes(data))
        right += sum(found.get(name) == good[name] for name in BEFORE)
        every += len(BEFORE)
    assert right > 0.9 * every, right / every


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    hold.certificate(data)
    hold.certificate(b"\x30\x82\x02\x00\x30\x82\x01\x00" + data)


@settings(max_examples=100)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_any_chain_is_read(seed: int, size: int) -> None:
    chance = Random(seed)
    whole = list(samples.certificates().values())
    ders = [any_of(chance.choice(whole), chance) for _ in range(size)]
    found = chain(ders)
    path = found[0]["chain"]["path"]
    assert path[0] == 0 and len(set(path)) == len(path)
    assert sorted(path + found[0]["chain"]["extra"]) == list(range(size))


def test_a_mutation_keeps_the_lengths_around_it_right() -> None:
    whole = samples.certificates()["rsa"]
    (root,) = parse(whole)
    assert root.encode() == whole
