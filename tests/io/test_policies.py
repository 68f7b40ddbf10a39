"""Policy files: the built-in ones are what they were, and a bad one is refused with its line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tlscheck.io.policies import BadPolicy, builtin, find, load
from tlscheck.render.policy import describe

GOLDEN = Path(__file__).parent.parent / "golden" / "policies"

GOOD = """\
id = "mine-1"
title = "Mine"
publisher = "me"
version = "1"
published = 2026-11-24
status = "current"
url = "https://example.com/"

[[rule]]
id = "versions"
check = "versions"
text = "Only the best."
level = "MUST"
severity = "high"
from = 2026-01-01

[rule.applies_to]
services = ["sts"]

[rule.params]
required = ["TLSv1.3"]

[rule.citation]
document = "My book"
section = "1"
url = "https://example.com/1"
verified = "primary"
"""


def bad(tmp_path: Path, text: str) -> str:
    """What is said of this file, without the directory's name."""
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadPolicy) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/")


@pytest.mark.parametrize("name", ["aws-current", "aws-iam-2020"])
def test_published_policies_are_what_their_snapshots_say(name: str) -> None:
    assert describe(find(name)) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_every_builtin_policy_has_the_id_of_its_file_and_a_snapshot() -> None:
    assert list(builtin()) == ["aws-current", "aws-iam-2020"]
    for name, path in builtin().items():
        assert load(path).id == name == path.stem
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(builtin())


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    policy = find(str(path))
    [rule] = policy.rules
    assert (policy.id, policy.supersedes, policy.notes) == ("mine-1", None, ())
    assert (rule.since, rule.until) == (date(2026, 1, 1), None)
    assert rule.applies_to == {"services": ("sts",)}
    assert rule.params == {"required": ("TLSv1.3",)}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", "mine.toml:9: check is missing"),
        ('check = "versions"', 'check = "magic"', 'mine.toml:11: check: "magic" is not one of '
         "versions, pfs, https, http, groups, dns"),
        ('check = "versions"', "check = 7", "mine.toml:11: check: must be a string"),
        ('title = "Mine"', "title = true", "mine.toml:2: title: must be a string"),
        ('title = "Mine"', 'title = " "', "mine.toml:2: title: must not be empty"),
        ('title = "Mine"\n', "", "mine.toml:1: title is missing"),
        ('id = "mine-1"', 'id = "Mine!"', "mine.toml:1: id: must be lower-case letters and digits, "
         "joined by - or ."),
        ("published = 2026-11-24", 'published = "2026-11-24"', "mine.toml:5: published: must be a "
         "date like 2020-04-30"),
        ("published = 2026-11-24", "published = 2026-11-24T00:00:00Z", "mine.toml:5: published: "
         "must be a date like 2020-04-30"),
        ('url = "https://example.com/"', 'url = "file:///x"', "mine.toml:7: url: must be an http "
         "or https address"),
        ('severity = "high"', 'severty = "high"', "mine.toml:9: severity is missing"),
        ('severity = "high"', 'severity = "high"\nseverty = "high"', "mine.toml:15: unknown key "
         "severty (did you mean severity?)"),
        ('level = "MUST"', 'level = "INFO"', "mine.toml:13: level: INFO is only for a groups check "
         "that forbids nothing"),
        ("from = 2026-01-01", "from = 2026-01-01\nuntil = 2025-01-01", "mine.toml:16: until: is "
         "before from"),
        ('services = ["sts"]', "services = []", "mine.toml:18: services: must not be empty"),
        ('services = ["sts"]', 'regions = ["x"]', "mine.toml:18: unknown key regions"),
        ('required = ["TLSv1.3"]', 'required = [\n  "TLSv1.3",\n  "TLSv1.4",\n]', "mine.toml:23: "
         'required: "TLSv1.4" is not one of SSLv2, SSLv3, TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3'),
        ('required = ["TLSv1.3"]', 'required = "TLSv1.3"', "mine.toml:21: required: must be a "
         "list"),
        ('required = ["TLSv1.3"]', "required = [1.3]", "mine.toml:21: required: must be a list of "
         "strings"),
        ('required = ["TLSv1.3"]', 'required = ["TLSv1.3", "TLSv1.3"]', "mine.toml:21: required: "
         "names something twice"),
        ('required = ["TLSv1.3"]', 'documented = ["TLSv1.3"]', "mine.toml:21: documented: needs "
         "required, require_any or expected beside it"),
        ('required = ["TLSv1.3"]', 'interesting = ["x"]', "mine.toml:21: unknown key interesting"),
        ('required = ["TLSv1.3"]\n', "", "mine.toml:9: a versions check needs params"),
        ('verified = "primary"', 'verified = "maybe"', 'mine.toml:27: verified: "maybe" is not one '
         "of primary, secondary, unverified"),
        ('document = "My book"\n', "", "mine.toml:23: document is missing"),
        ('status = "current"', 'status = "current', "mine.toml:6: Illegal character '\\n'"),
        ('id = "mine-1"', f"id = {'9' * 5000}", "mine.toml:1: a number is too long"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = GOOD.replace(old, new, 1) if old else GOOD.replace('check = "versions"\n', "")
    assert bad(tmp_path, text) == said


def test_other_broken_files_are_one_line_too(tmp_path: Path) -> None:
    head, rule = GOOD.split("[[rule]]")
    assert bad(tmp_path, head) == "mine.toml:1: a policy needs at least one [[rule]]"
    again = f"{GOOD}\n[[rule]]{rule}"
    assert bad(tmp_path, again) == "mine.toml:30: id: versions is there twice"
    assert bad(tmp_path, head + 'rule = ["x"]\n') == "mine.toml:9: rule: must be [[rule]] tables"
    assert bad(tmp_path, head + "rule = 3\n") == "mine.toml:9: rule: must be a list"
    assert bad(tmp_path, GOOD.split("[rule.citation]")[0]) == "mine.toml:9: citation is missing"
    assert bad(tmp_path, GOOD + '"a\\nb" = 1\n') == "mine.toml:28: unknown key a\\nb"
    assert bad(tmp_path, GOOD + "x = [").startswith("mine.toml:28: ")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadPolicy, match=r"nowhere\.toml: No such file or directory$"):
        find(str(tmp_path / "nowhere.toml"))
    with pytest.raises(BadPolicy, match="directory"):
        find(f"{tmp_path}/")
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'id = "x"\ntitle = "\xe9"\n')
    with pytest.raises(BadPolicy, match=r"latin\.toml:2: not UTF-8$"):
        load(latin)


def test_an_unknown_name_comes_with_the_known_ones() -> None:
    with pytest.raises(BadPolicy) as caught:
        find("aws-curent")
    assert str(caught.value) == (
        'unknown policy "aws-curent": there are aws-current, aws-iam-2020 '
        "(did you mean aws-current?)"
    )
    with pytest.raises(BadPolicy) as caught:
        find("zzz\n")
    assert str(caught.value) == 'unknown policy "zzz\\n": there are aws-current, aws-iam-2020'
