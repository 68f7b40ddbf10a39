"""A policy as text: what it holds endpoints against, one block a rule."""

from __future__ import annotations

from tlscheck.core.conduct import OWN, Trouble
from tlscheck.core.policy import Param, Policy, Rule
from tlscheck.render.clean import clean, wrap

WIDTH = 96  # columns of a line, but for one with an address: that stays whole


def describe(policy: Policy) -> str:
    """The whole policy in a fixed layout that can be compared line by line; ends with newline."""
    head = [
        *wrap(clean(f"{policy.id}: {policy.title}"), WIDTH, rest="  "),
        *_wrapped("publisher", f"{policy.publisher}, {policy.version}"),
        f"  published   {policy.published.isoformat()}",
        f"  status      {policy.status}",
        *_wrapped("supersedes", policy.supersedes or "nothing"),
        f"  url         {policy.url}",
        *(line for note in policy.notes for line in _wrapped("note", note)),
    ]
    blocks = [head, *(_rule(rule) for rule in policy.rules)]
    return "\n\n".join("\n".join(clean(line) for line in block) for block in blocks) + "\n"


# How each check is measured, and what would satisfy it.
_MEASURED = {
    "versions": "One hello for each version from SSLv2 to TLS 1.3, to every address. Only a fatal "
    "alert, another version picked, or a hang-up that repeats while other hellos are answered "
    "counts as not offered.",
    "pfs": "All suites of every version are offered, and struck one by one as they are picked. "
    "One with an ephemeral key exchange (ECDHE, DHE or any of TLS 1.3) satisfies the rule.",
    "https": "One GET with the certificate verified against the host's name. Any HTTP answer "
    "satisfies the rule.",
    "http": "One GET in clear to port 80 of every address. A refused connection or a redirect, "
    "which is not followed, satisfies the rule; where nothing answers it does not apply.",
    "groups": "All groups of TLS 1.2 and 1.3 are offered, and struck one by one as picked.",
    "dns": "The A and AAAA records found when the host's name was looked up.",
}


def describe_rule(policy: Policy, rule: Rule) -> str:
    """One rule of a policy with how it is measured; ends with newline."""
    lines = [*_rule(rule, f"{policy.id}/"), *_wrapped("measured", _MEASURED[rule.check])]
    return "".join(f"{clean(line)}\n" for line in lines)


def _rule(rule: Rule, before: str = "") -> list[str]:
    cited = rule.citation
    *start, last = wrap(f"{before}{rule.id}", WIDTH - 40, rest="  ")
    section = "" if cited.section == "-" else f", {cited.section}"
    return [
        *start,
        f"{last}  ({rule.level}, severity {rule.severity})",
        *_wrapped("text", rule.text),
        f"  check       {rule.check}",
        *(
            line
            for name, value in sorted(rule.params.items())
            for line in wrap(clean(_value(value)), WIDTH, f"    {name:<19} ", " " * 24)
        ),
        f"  holds       {_dates(rule)}",
        *(
            line
            for kind, names in sorted(rule.applies_to.items())
            for line in _wrapped(kind, ", ".join(names))
        ),
        *_wrapped("citation", f"{cited.document}{section} ({cited.verified})"),
        f"              {cited.url}",
        f"  can be      {_reach(rule)}",
    ]


def _wrapped(label: str, text: str) -> list[str]:
    return wrap(clean(text), WIDTH, f"  {label:<12}", " " * 14)


def _value(value: Param) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _dates(rule: Rule) -> str:
    since = f"from {rule.since.isoformat()}" if rule.since else "from the start"
    return f"{since} until {rule.until.isoformat()}" if rule.until else since


def _reach(rule: Rule) -> str:
    """The worst that the rule may say."""
    if rule.level == "INFO":
        return "exceeds at most: a note"
    if rule.level == "SHOULD":
        return "warn at worst: SHOULD"
    if rule.citation.verified == "unverified":
        return "warn at worst: citation not verified"
    return "fail at worst"


def describe_own(trouble: Trouble) -> str:
    """A finding that no policy is needed for; ends with newline."""
    return "".join(
        f"{line}\n"
        for line in (
            f"{OWN}/{trouble.id}",
            *_wrapped("text", trouble.text),
            *_wrapped("citation", trouble.document),
            f"              {trouble.url}",
            "  can be      warn, and only where a server does otherwise",
            *_wrapped("measured", trouble.measured),
        )
    )
