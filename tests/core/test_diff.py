"""A diff can be applied and turned round, and names what changed and nothing that was unseen."""

from __future__ import annotations

import copy
import random
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlscheck.core.diff import (
    PRESENT,
    Change,
    Fact,
    Key,
    apply,
    asked_alike,
    changes,
    circumstances,
    compare,
    depth_of,
    diff,
    inverse,
    moved,
    view,
)
from tlscheck.core.model import Depth
from tlscheck.core.seen import DEEP as DEEP_NAMES

LABELS = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
SUITES = [f"TLS_{letter}" for letter in "ABCDE"]
GROUPS = ["x25519", "secp256r1", "X25519MLKEM768"]


@st.composite
def protocols(draw: st.DrawFn) -> dict[str, Any]:
    made = {}
    for label in LABELS:
        offered = draw(st.sampled_from(["yes", "no", "unknown"]))
        yes = offered == "yes"
        made[label] = {
            "offered": offered,
            "why": draw(st.sampled_from([None, "reset"])),
            "suites": draw(st.permutations(SUITES))[: draw(st.integers(1, 5))] if yes else [],
            "order": draw(st.sampled_from(["server", "client", None])) if yes else None,
            "groups": draw(st.lists(st.sampled_from(GROUPS), unique=True)) if yes else [],
        }
    return made


ANSWER = st.sampled_from([{"answer": "yes"}, {"answer": "no"}, {"answer": "unknown"}])
DEEP = st.none() | st.fixed_dictionaries(
    {name: ANSWER for name in ("heartbleed", "robot", "compression", "early_data")}
)


@st.composite
def endpoints(draw: st.DrawFn, name: str) -> dict[str, Any]:
    addresses = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True))
    return {
        "id": name, "host": f"{name}.example", "port": 443, "mixed": draw(st.booleans()),
        "targets": [
            {
                "address": f"192.0.2.{n}", "reachable": "yes", "why": None, "connections": n,
                "protocols": draw(protocols()), "features": {}, "http": {}, "deep": draw(DEEP),
                "certificates": draw(st.sampled_from([[], [{"issuer": "A", "serial": "1"}]])),
                "https": draw(st.sampled_from([{}, {"outcome": "yes"}, {"outcome": "no"}])),
            }
            for n in addresses
        ],
    }  # fmt: skip


VERDICT = st.sampled_from(["pass", "fail", "exceeds", "warn", "inconclusive", "not_applicable"])


@st.composite
def reports(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from("abc"), unique=True))
    return {
        "tool": {"name": "tlscheck", "version": "0.1.0"},
        "run": {"id": "1", "complete": True, "depth": "deep"},
        "policies": [{"id": "p", "as_of": "2026-11-24"}],
        "endpoints": [draw(endpoints(name)) for name in names],
        "findings": [
            {"endpoint": name, "policy": "p", "rule": "r", "verdict": draw(VERDICT),
             "saw": draw(st.sampled_from(["", "nothing"])), "because": ""}
            for name in names
        ],
    }  # fmt: skip


@given(reports())
def test_nothing_differs_from_itself(report: dict[str, Any]) -> None:
    assert diff(view(report), view(copy.deepcopy(report))) == ()


@given(reports(), reports())
def test_a_diff_leads_from_one_to_the_other_and_back(a: dict[str, Any], b: dict[str, Any]) -> None:
    old, new = view(a), view(b)
    there, back = diff(old, new), diff(new, old)
    assert apply(old, there) == new and apply(new, back) == old
    assert inverse(there) == back and inverse(back) == there
    assert (there == ()) == (old == new)


@given(reports(), st.randoms(use_true_random=False))
def test_the_order_of_lists_does_not_matter(report: dict[str, Any], chance: random.Random) -> None:
    other = copy.deepcopy(report)
    for rows in (
        other["endpoints"],
        other["findings"],
        *(e["targets"] for e in other["endpoints"]),
    ):
        chance.shuffle(rows)
    assert view(other) == view(report)


def blinded(report: dict[str, Any], chance: random.Random, share: float) -> dict[str, Any]:
    """The same servers, of which not everything was seen."""
    seen = copy.deepcopy(report)
    for endpoint in seen["endpoints"]:
        for target in endpoint["targets"]:
            for protocol in target["protocols"].values():
                if chance.random() < share:
                    protocol |= {"offered": "unknown", "why": "read time-out", "suites": [],
                                 "order": None, "groups": []}  # fmt: skip
                elif protocol["offered"] == "yes" and chance.random() < share:
                    protocol["why"] = "suites may be incomplete: reset"
                    protocol["suites"] = protocol["suites"][: chance.randint(0, 2)]
                    protocol["order"] = None
            if chance.random() < share:
                target["https"], target["certificates"] = {"outcome": "unknown"}, []
            if chance.random() < share:
                target["deep"] = {"outcome": "unknown", "why": "no time was left"}
    for finding in seen["findings"]:
        if chance.random() < share:
            finding |= {"verdict": "inconclusive", "saw": "nothing"}
            if chance.random() < 0.5:  # a note, or what port 80 does
                finding["verdict"] = "not_applicable"
    return seen


DEPTHS: tuple[Depth, ...] = get_args(Depth)


def asked_less(report: dict[str, Any], depth: Depth, chance: random.Random) -> dict[str, Any]:
    """The same servers, asked no more than at this depth. A verdict may rest on what was not."""
    less = copy.deepcopy(report)
    less["run"]["depth"] = depth
    for target in (t for e in less["endpoints"] for t in e["targets"]):
        target["deep"] = target["deep"] if depth == "deep" else None
        if depth == "quick":
            target |= {"https": {}, "http": {}, "certificates": [], "features": {}}
    for finding in less["findings"]:
        if depth != "deep" and chance.random() < 0.5:
            finding |= {"verdict": "not_applicable", "saw": "nothing"}
    return less


@given(reports(), st.sampled_from(DEPTHS), st.sampled_from(DEPTHS),
       st.randoms(use_true_random=False))  # fmt: skip
def test_how_much_is_asked_is_no_change_and_no_loss_of_sight(
    report: dict[str, Any], one: Depth, other: Depth, chance: random.Random
) -> None:
    report["run"]["started"] = "2026-11-24T02:00:00Z"
    pair = asked_less(report, one, chance), asked_less(report, other, chance)
    document = compare(*pair)
    if one != other:
        assert document.changes == ()
    assert not document.changed
    assert any("another depth" in said for said in document.circumstances) == (one != other)


@settings(max_examples=200)
@given(reports(), st.randoms(use_true_random=False), st.floats(0, 1), st.floats(0, 1))
def test_what_is_not_seen_never_makes_a_change(
    report: dict[str, Any], chance: random.Random, one: float, other: float
) -> None:
    for endpoint in report["endpoints"]:  # one address: an unequal one of two can be unseen
        endpoint["targets"], endpoint["mixed"] = endpoint["targets"][:1], False
        for protocol in endpoint["targets"][0]["protocols"].values():
            protocol["why"] = None
    nights = view(blinded(report, chance, one)), view(blinded(report, chance, other))
    assert {c.weight for c in changes(diff(*nights))} <= {"sight"}


# --- what is said of each kind of change


def report(**said: Any) -> dict[str, Any]:
    def protocol(offered: str, suites: list[str], order: str | None = "server") -> dict[str, Any]:
        return {"offered": offered, "why": None, "suites": suites, "order": order, "groups": []}

    target = {
        "address": "192.0.2.1", "reachable": "yes", "why": None, "connections": 9,
        "features": {"compression": {"answer": "no"}, "dh": {"answer": "yes", "bits": 2048}},
        "http": {"outcome": "closed"}, "deep": None, "https": {"outcome": "yes"},
        "certificates": [{"subject": "CN=a", "issuer": "CN=ca", "key": "RSA 2048",
                          "names": ["a.example"], "serial": "01", "fingerprint": "aa"}],
        "protocols": {label: protocol("no", []) for label in LABELS}
        | {"TLSv1.2": protocol("yes", ["TLS_A", "TLS_B"])},
    }  # fmt: skip
    made = {
        "tool": {"name": "tlscheck", "version": "0.1.0"},
        "run": {"id": "1", "complete": True},
        "policies": [{"id": "p", "as_of": "2026-11-24"}],
        "endpoints": [{"id": "a", "host": "a.example", "port": 443, "mixed": False,
                       "targets": [target]}],
        "findings": [{"endpoint": "a", "policy": "p", "rule": "r", "verdict": "pass",
                      "saw": "TLSv1.2"}],
    }  # fmt: skip
    for path, value in said.items():
        at: Any = made
        *way, last = path.replace("__", ".").split("/")
        for step in way:
            at = at[int(step) if step.isdigit() else step]
        at[int(last) if last.isdigit() else last] = value
    return made


ONE = "endpoints/0/targets/0/"
TOLD = [
    ({ONE + "protocols/TLSv1__0/offered": "yes"}, ["TLSv1.0 now offered"]),
    (
        {ONE + "protocols/TLSv1__2/suites": ["TLS_C", "TLS_A"]},
        ["TLSv1.2 suites: +TLS_C -TLS_B"],
    ),
    (
        {ONE + "protocols/TLSv1__2/suites": ["TLS_B", "TLS_A"]},
        ["TLSv1.2 order: server: TLS_A > TLS_B -> server: TLS_B > TLS_A"],
    ),
    ({ONE + "protocols/TLSv1__2/order": "client"},
     ["TLSv1.2 order: server: TLS_A > TLS_B -> client"]),
    ({ONE + "protocols/TLSv1__2/groups": ["x25519"]}, ["TLSv1.2 groups: +x25519"]),
    ({ONE + "certificates/0/serial": "02"}, ["certificate renewed: serial 02, fingerprint aa"]),
    (
        {ONE + "certificates/0/issuer": "CN=evil", ONE + "certificates/0/serial": "02"},
        ["certificate: subject CN=a, issuer CN=ca, key RSA 2048, names ['a.example'] -> "
         "subject CN=a, issuer CN=evil, key RSA 2048, names ['a.example']"],
    ),
    ({ONE + "http": {"outcome": "answer", "location": None}}, ["http: closed -> answer"]),
    ({ONE + "http": {"outcome": "redirect", "location": "https://a/"}},
     ["http: closed -> redirect to https://a/"]),
    ({ONE + "http": {"outcome": "unknown"}}, ["sight lost: http"]),
    ({ONE + "features/compression": {"answer": "yes"}}, ["compression: no -> yes"]),
    ({ONE + "features/dh/bits": 1024}, ["dh: yes (2048) -> yes (1024)"]),
    ({ONE + "features/dh/answer": "unknown"}, ["sight lost: feature dh"]),
    ({ONE + "features/public_value_reuse": {"answer": "yes"}}, []),
    # What a version brings along is told by the version.
    ({ONE + "features/compression": {"answer": "not_applicable"},
      ONE + "protocols/TLSv1__3/offered": "yes"}, ["TLSv1.3 now offered"]),
    ({ONE + "https": {"outcome": "no"}}, ["https: yes -> no"]),
    ({"endpoints/0/mixed": True}, ["its servers are unequal now"]),
    ({"endpoints/0/port": 8443}, []),
    ({"findings/0/verdict": "fail"}, ["p/r: pass -> fail"]),
    ({"findings/0/verdict": "inconclusive"}, ["sight lost: verdict p/r"]),
    # Looked at in vain, and not applicable because of its dates.
    ({"findings/0/verdict": "not_applicable"}, ["sight lost: verdict p/r"]),
    ({"findings/0": {"endpoint": "a", "policy": "p", "rule": "r", "verdict": "not_applicable",
                     "saw": ""}}, ["p/r: pass -> not_applicable"]),
    ({"endpoints": [], "findings": []}, ["removed from the catalog"]),
    ({ONE + "protocols": {}},
     ["sight lost: everything"]),
    ({ONE + "address": "192.0.2.99"}, []),
    ({ONE + "connections": 77}, []),
]  # fmt: skip


def said(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    return list(changes(diff(view(old), view(new))))


@pytest.mark.parametrize(("change", "told"), TOLD, ids=[str(list(c)[-1]) for c, _ in TOLD])
def test_exactly_what_changed_is_told(change: dict[str, Any], told: list[str]) -> None:
    assert [c.says for c in said(report(), report(**change))] == told


def test_verdicts_break_and_heal_and_renewals_are_routine() -> None:
    failed = report(**{"findings/0/verdict": "fail"})
    assert [c.weight for c in said(report(), failed)] == ["broke"]
    assert [c.weight for c in said(failed, report())] == ["healed"]
    renewed = report(**{ONE + "certificates/0/serial": "02"})
    assert [c.weight for c in said(report(), renewed)] == ["routine"]


LEAF = {
    "position": 0, "subject": "CN=a", "issuer": "CN=Example RSA 2048 M01,O=Example,C=US",
    "key": {"type": "RSA", "bits": 2048}, "names": {"dns": ["b", "a"], "ip": [], "more": 0},
    "serial": "01", "not_after": "2027-01-01T00:00:00Z", "fingerprint": "aa",
    "for_name": {"name": "a", "answer": "yes"},
    "trust": {"system": {"answer": "yes"}, "certifi": {"answer": "unknown"}},
    "chain": {"missing": None, "in_order": True}, "days_left": 40, "versions": ["TLSv1.3"],
}  # fmt: skip
RENEWAL = {"issuer": "CN=Example RSA 2048 M04,O=Example,C=US", "serial": "02", "days_left": 390,
           "names": {"dns": ["a", "b"], "ip": [], "more": 0}, "fingerprint": "bb"}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "weight"),
    [({}, "routine"), ({"issuer": "CN=M04,O=Another,C=US"}, "changed"),
     ({"key": {"type": "RSA", "bits": 1024}}, "changed"),
     ({"names": {"dns": ["a"], "ip": []}}, "changed"),
     ({"for_name": {"answer": "no"}}, "changed"), ({"trust": {}}, "changed"),
     ({"chain": {"missing": "CN=M04", "in_order": True}}, "changed"),
     ({"chain": {"missing": None, "in_order": False}}, "changed")],
)  # fmt: skip
def test_a_renewal_is_routine_unless_something_that_matters_came_with_it(
    change: dict[str, Any], weight: str
) -> None:
    old = report(**{ONE + "certificates": [LEAF]})
    new = report(**{ONE + "certificates": [{**LEAF, **RENEWAL, **change}]})
    (told,) = said(old, new)
    assert told.weight == weight, told


def test_days_that_pass_are_no_change() -> None:
    old = report(**{ONE + "certificates": [LEAF]})
    assert said(old, report(**{ONE + "certificates": [{**LEAF, "days_left": 39}]})) == []


@pytest.mark.parametrize("odd", [None, 1, "x", [], ["x"], {"answer": 1}, {"answer": ["yes"]}])
def test_a_report_from_elsewhere_may_hold_anything(odd: Any) -> None:
    leaf = dict.fromkeys(LEAF, odd) | {"position": 0}
    for place in ("features/dh", "features/signature_schemes", "certificates/0/names"):
        view(report(**{ONE + place: odd, ONE + "http": {"outcome": odd}}))
    view(report(**{ONE + "certificates": [leaf, odd]}))


# --- what sslyze says

SAID = {
    "outcome": "yes",
    "certificates": {"answer": "yes", "deployments": [
        {"fingerprint": "aa", "trusted": {"Mozilla": True, "Java": True}},
    ]},
} | {name: {"answer": "no", "why": None} for name in DEEP_NAMES}  # fmt: skip


def deep_says(**other: Any) -> dict[str, Any]:
    return report(**{ONE + "deep": {**SAID, **other}})


@pytest.mark.parametrize("name", [n for n in DEEP_NAMES if n != "early_data"])
def test_a_server_that_comes_to_be_vulnerable_broke(name: str) -> None:
    bad = deep_says(**{name: {"answer": "yes"}})
    (told,) = said(deep_says(), bad)
    assert told.weight == "broke" and told.says.endswith("says sslyze: no -> yes")
    (told,) = said(bad, deep_says())
    assert told.weight == "healed"
    for unseen in ({"answer": "unknown"}, {}, None, "x"):
        for pair in ((deep_says(**{name: unseen}), bad), (bad, deep_says(**{name: unseen}))):
            assert {c.weight for c in said(*pair)} == {"sight"}
    assert {c.weight for c in said(report(), bad)} == {"sight"}


def test_a_server_that_leaves_what_only_old_versions_can_have_is_told_by_the_version() -> None:
    modern = {"heartbleed": {"answer": "not_applicable"}, "ccs_injection": {"answer": "unknown"}}
    new = deep_says(**modern)
    new["endpoints"][0]["targets"][0]["protocols"]["TLSv1.2"] |= {
        "offered": "no", "suites": [], "order": None, "groups": [],
    }  # fmt: skip
    told = {(c.weight, c.says) for c in said(deep_says(), new)}
    assert told == {("changed", "TLSv1.2 no longer offered"),
                    ("sight", "sight lost: deep ccs_injection")}  # fmt: skip
    healed = [c.says for c in said(deep_says(heartbleed={"answer": "yes"}), new)]
    assert "heartbleed, says sslyze: yes -> none" in healed


def test_compression_that_both_see_is_told_once_and_broke() -> None:
    seen = {ONE + "features/compression": {"answer": "yes"}}
    bad = report(**seen, **{ONE + "deep": {**SAID, "compression": {"answer": "yes"}}})
    (told,) = said(deep_says(), bad)
    assert (told.weight, told.says) == ("broke", "compression: no -> yes")


def test_early_data_and_who_trusts_what_sslyze_was_sent_are_changes() -> None:
    (told,) = said(deep_says(), deep_says(early_data={"answer": "yes"}))
    assert (told.weight, told.says) == ("changed", "early data, says sslyze: no -> yes")
    other = {"answer": "yes", "deployments": [
        {"fingerprint": "bb", "trusted": {"Mozilla": True, "Java": False}}
    ]}  # fmt: skip
    (told,) = said(deep_says(), deep_says(certificates=other))
    assert told.says == "trust, says sslyze: +Java no -Java yes"
    renewed = {"answer": "yes", "deployments": [
        {"fingerprint": "bb", "trusted": {"Mozilla": True, "Java": True}}
    ]}  # fmt: skip
    assert said(deep_says(), deep_says(certificates=renewed)) == []
    for odd in (None, [], [None], [{"trusted": None}], [{"trusted": {"Java": None}}]):
        unseen = deep_says(certificates={"answer": "yes", "deployments": odd})
        assert [c.says for c in said(deep_says(), unseen)] == ["sight lost: deep trust"]


def test_a_view_from_before_sslyze_was_compared_makes_no_change() -> None:
    old = {key: fact for key, fact in view(report()).items() if not key[1].startswith("deep ")}
    assert changes(diff(old, view(deep_says()))) == ()


# --- how much was asked


def test_a_depth_that_was_not_recorded_is_read_off_what_was_asked() -> None:
    assert depth_of(deep_says()) == "deep" and depth_of(report()) == "standard"
    quick = report(**{ONE + "https": {}, ONE + "http": {}, ONE + "certificates": [],
                      ONE + "features": {}, "findings/0/verdict": "not_applicable",
                      "findings/0/saw": "nothing"})  # fmt: skip
    assert depth_of(quick) == "quick" and depth_of(report(**{"run/depth": "deep"})) == "deep"
    told = circumstances(report(), quick)
    assert told == ("asked at another depth (standard -> quick): certificates, features, https and "
                    "http are compared only where both runs asked",)  # fmt: skip
    assert circumstances(report(), deep_says()) == (
        "asked at another depth (standard -> deep): what sslyze says is compared only where both "
        "runs asked",
    )
    alike = asked_alike(diff(view(report()), view(quick)), "standard", "quick")
    assert alike == ()
    assert asked_alike(diff(view(report()), view(quick)), None, "quick") != ()


def test_what_changed_is_told_also_when_less_was_asked() -> None:
    less = report(**{ONE + "https": {}, ONE + "protocols/TLSv1__0/offered": "yes",
                     "findings/0/verdict": "fail", "run/depth": "quick",
                     "run/started": "2"})  # fmt: skip
    document = compare(report(**{"run/started": "1"}), less)
    assert [c.says for c in document.changes] == ["p/r: pass -> fail", "TLSv1.0 now offered"]


def test_how_reports_were_made_is_no_change_of_a_server() -> None:
    other = report(**{"tool/version": "0.2.0", "run/complete": False, "endpoints/0/port": 8443,
                      "policies": [{"id": "q", "as_of": "2026-11-25"}],
                      "findings": [{"endpoint": "a", "policy": "q", "rule": "r",
                                    "verdict": "fail", "saw": "TLSv1.0"}]})  # fmt: skip
    assert said(report(), other) == []
    assert circumstances(report(), other) == (
        "data files: another host or port for a a.example:443 -> a.example:8443",
        "tool: 0.1.0 -> 0.2.0",
        "policies: p -> q",
        "the new report is not complete",
    )
    tomorrow = report(**{"policies": [{"id": "p", "as_of": "2026-11-25"}]})
    assert circumstances(report(), tomorrow) == ()


def test_an_ipv6_host_stands_in_brackets_before_its_port() -> None:
    old, new = (report(**{"endpoints/0/host": "::1", "endpoints/0/port": port}) for port in (1, 2))
    assert circumstances(old, new) == ("data files: another host or port for a [::1]:1 -> [::1]:2",)
    assert view(new)["a", PRESENT].values == ("[::1]:2",)


def test_only_what_was_seen_whole_can_have_come_or_gone() -> None:
    some = Fact(("a",), False)
    assert moved(some, Fact(("a", "b"))) == ((), ())
    assert moved(Fact(("a", "b")), some) == ((), ())
    assert moved(Fact(("a",)), Fact(("b",), False)) == (("b",), ())
    key: Key = ("e", "t")
    assert apply({key: some}, diff({key: some}, {})) == {}
