"""Chains as they were sent -> the report's `certificates`: each certificate as `certificates.read`
gives it, and of each leaf what a store, a name, a clock and a staple say about it.

Nothing is fetched. A store's answer is "yes" only where a verifier of another hand says so, and
"no" only where that cannot be otherwise: a date, or no path by names and signatures to any of its
authorities. Whatever lies between is unknown, with the reason.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tlscheck.core.features import Chain
from tlscheck.core.model import Answer, Target
from tlscheck.core.names import is_for
from tlscheck.io import certificates, extensions, ocsp, signatures, timestamps, trust
from tlscheck.io.der import Parts, Unreadable, translated
from tlscheck.io.secret import masked

if TYPE_CHECKING:
    from cryptography import x509

Extension = TypeVar("Extension", bound="x509.ExtensionType")

MOST_DEEP = certificates.MOST_CHAIN  # certificates between a leaf and an authority
MOST_TRIES = 200  # signatures that are tried for one chain and store
MOST_NAMES = 5000  # of a leaf, that are searched for the one to verify

_DAY = timedelta(days=1)


def read(
    target: Target,
    chains: Sequence[Chain],
    https: Mapping[str, Any],
    *,
    ca_bundle: Path | None,
    now: datetime,
) -> tuple[dict[str, Any], ...]:
    """All certificates of all chains. A leaf (`position` 0) has besides what `certificates.chain`
    gives:

    - `versions`: the protocol versions in which this chain was seen
    - `days_left`, `lifetime_days`: whole days, from `now` and from its beginning to its end
      (`None` where a date cannot be read)
    - `for_name`: `name` (the one to verify), `answer`, `why`
    - `trust`: by store (`ca-bundle`, `system`, `certifi`): `answer`, `why`
    - `staple`: see `ocsp.read`; `None` when no response was stapled
    - `handshake_scts`, `staple_scts`, `distinct_scts`: see `timestamps.read`
    - `chain.missing`: the issuer that was neither sent nor is in any store; `None` if there is
      none, and where some of those sent were not read

    What looks like a secret in a name, or in a reason, is masked. `https` is the answer of the
    HTTPS check. Never raises.
    """
    with warnings.catch_warnings():  # of cryptography, about what certificates should not hold
        warnings.simplefilter("ignore")
        return tuple(_entries(target, chains, https, ca_bundle, now))


def _entries(
    target: Target,
    chains: Sequence[Chain],
    https: Mapping[str, Any],
    ca_bundle: Path | None,
    now: datetime,
) -> Iterator[dict[str, Any]]:
    stores = trust.stores(ca_bundle)
    asked = "ca-bundle" if ca_bundle else stores[0].name if stores else None
    for chain in chains:
        entries = certificates.chain(chain.certificates)
        if not entries:
            continue
        leaf = entries[0]
        verified = https.get("outcome") == "yes" and https.get("leaf") == leaf["fingerprint"]
        # Of several leaves nobody says which was refused.
        refusal = _refusal(https) if len(chains) == 1 else None
        leaf["versions"] = list(chain.versions)
        leaf["days_left"] = _days(now, _time(leaf, "not_after"))
        leaf["lifetime_days"] = _days(_time(leaf, "not_before"), _time(leaf, "not_after"))
        leaf["for_name"] = _for_name(target, leaf, chain.certificates[0])
        leaf["trust"] = {
            store.name: _said(
                *_agreed(
                    _trusted(chain.certificates, store, now, verified and store.name == asked),
                    refusal if store.name == asked else None,
                )
            )
            for store in stores
        }
        issuer = _signer(leaf["chain"]["path"], chain.certificates, stores)
        leaf["staple"] = ocsp.read(chain.staple, chain.certificates[0], issuer, now=now)
        counts, problems = timestamps.read(chain.certificates[0], chain.timestamps, chain.staple)
        leaf.update(counts)
        leaf["problems"].update(problems)
        leaf["chain"]["missing"] = _missing(leaf["chain"], chain.certificates, stores)
        yield from map(_shown, entries)


# What a server could write anything into; the host's name and the path are found by the true ones.
_NAMED = ("subject", "issuer", "common_names", "names", "chain", "trust", "staple", "problems")


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _masked(value) if name in _NAMED else value for name, value in entry.items()}


def _masked(value: Any) -> Any:
    """A value of JSON, with asterisks for what may be a secret in its texts."""
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    return masked(value) if isinstance(value, str) else value


def _refusal(https: Mapping[str, Any]) -> str | None:
    """What OpenSSL has against a certificate, its names apart; `None` where nothing."""
    why = https.get("why")
    if https.get("outcome") != "no" or not isinstance(why, str):
        return None
    return why if why.startswith("certificate") and " not for " not in why else None


def _agreed(said: tuple[Answer, str | None], refusal: str | None) -> tuple[Answer, str | None]:
    """What one verifier says, unknown where another refuses what it takes."""
    if said[0] != "yes" or refusal is None:
        return said
    return "unknown", f"a path is there, but OpenSSL does not take it: {refusal}"


def _said(answer: Answer, why: str | None) -> dict[str, Any]:
    return {"answer": answer, "why": why}


def _time(certificate: Mapping[str, Any], name: str) -> datetime | None:
    value = certificate.get(name)
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _days(since: datetime | None, until: datetime | None) -> int | None:
    """Whole days, rounded down: -1 is what ended within the last day."""
    return None if since is None or until is None else (until - since) // _DAY


def _for_name(target: Target, leaf: Mapping[str, Any], der: bytes) -> dict[str, Any]:
    name = target.endpoint.verify_name or target.endpoint.sni
    names = leaf.get("names")
    if names is None:
        return {"name": name, **_said("unknown", leaf["problems"].get("names", "not read"))}
    if names["more"]:  # a report lists some of them, and the name may be any
        names = extensions.names(Parts.of(der), str, MOST_NAMES)
    if is_for(name, names["dns"], names["ip"]):
        return {"name": name, **_said("yes", None)}
    if names["more"] or "names" in leaf["problems"]:
        return {"name": name, **_said("unknown", "not all of its names could be read")}
    return {"name": name, **_said("no", "none of its names is this one")}


# --- trust ------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _certificate(der: bytes) -> x509.Certificate | None:
    """As cryptography reads it whole; `None` when it does not."""
    from cryptography import x509

    try:
        with translated():
            return x509.load_der_x509_certificate(der[: certificates.MOST_BYTES])
    except Unreadable:
        return None


def _trusted(
    ders: Sequence[bytes], store: trust.Store, now: datetime, verified: bool
) -> tuple[Answer, str | None]:
    """Whether `store` trusts a chain; `verified`: OpenSSL has just found that it does."""
    if verified:
        return "yes", None
    leaf = _certificate(ders[0])
    if leaf is None:
        return "unknown", "the certificate cannot be read whole"
    others = [c for der in ders[1 : certificates.MOST_CHAIN] if (c := _certificate(der))]
    try:
        with translated():  # what is read late may make cryptography raise anything
            if now > leaf.not_valid_after_utc:
                return "no", "has expired"
            if now < leaf.not_valid_before_utc:
                return "no", "is not yet valid"
            refusal = _strictly(leaf, others, store, now)
            if refusal is None:
                return "yes", None
            path = _path(leaf, others, store)
            held = path and _path(leaf, [c for c in others if _in_time(c, now)], store)
    except Unreadable as fault:
        return "unknown", f"cannot be verified: {fault}"
    if not path and _issuer(leaf) == _subject(leaf):
        return "no", "is self-signed"
    if not held and len(ders) > certificates.MOST_CHAIN:
        return "unknown", f"{certificates.MOST_CHAIN} of {len(ders)} certificates were looked at"
    if not held:
        late = "its path has an authority that has expired, or is not yet valid"
        return "no", late if path else "no path to an authority of this store"
    return "unknown", f"a path is there, but may not hold: {refusal}"


def _in_time(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate is valid now, or may be."""
    try:
        with translated():
            return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    except Unreadable:
        return True


def _strictly(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], store: trust.Store, now: datetime
) -> str | None:
    """What a verifier that keeps to the Web's rules minds; `None` when nothing."""
    from cryptography.x509 import verification

    builder = verification.PolicyBuilder().store(_store(store)).time(now.replace(tzinfo=None))
    builder = builder.extension_policies(**_policies())
    try:
        # As of a client: of a server's verifier a name is the question, too.
        path = builder.build_client_verifier().verify(leaf, list(others)).chain
    except verification.VerificationError as fault:
        text = masked(str(fault).partition("\n")[0])[:160]
        return text.encode("ascii", "backslashreplace").decode() or "not said"
    if all(map(_is_meant, path, path[1:])):
        return None
    return "a certificate says that another key, or another certificate, is its issuer's"


def _is_meant(at: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` is the one that `at` says (RFC 5280, section 4.2.1.1), if it says so: some
    verifiers insist on that (OpenSSL), others do not look at it."""
    from cryptography import x509

    said = _extension(at, x509.AuthorityKeyIdentifier)
    own = _extension(issuer, x509.SubjectKeyIdentifier)
    if said is None:
        return True
    if said.key_identifier and own and said.key_identifier != own.digest:
        return False
    serial = said.authority_cert_serial_number
    return serial is None or serial == issuer.serial_number


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


@cache
def _policies() -> Mapping[str, Any]:
    """The Web's, of what must be for servers, and may have no alternative name; nor do private
    authorities always say whose key is which, or what they may do."""
    from cryptography import x509
    from cryptography.x509 import verification
    from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

    fit = {Purpose.SERVER_AUTH, Purpose.ANY_EXTENDED_KEY_USAGE}

    def for_servers(_: Any, __: Any, usage: x509.ExtendedKeyUsage | None) -> None:
        if usage is not None and fit.isdisjoint(usage):
            raise ValueError("is not for servers")

    def for_signing(_: Any, __: Any, usage: x509.KeyUsage | None) -> None:
        if usage is not None and not usage.key_cert_sign:
            raise ValueError("may not sign certificates")

    agnostic = verification.Criticality.AGNOSTIC
    ca = verification.ExtensionPolicy.webpki_defaults_ca()
    ee = verification.ExtensionPolicy.webpki_defaults_ee()
    ca = ca.may_be_present(x509.AuthorityKeyIdentifier, agnostic, None)
    ca = ca.may_be_present(x509.KeyUsage, agnostic, for_signing)
    ee = ee.may_be_present(x509.AuthorityKeyIdentifier, agnostic, None)
    return {
        "ca_policy": ca.may_be_present(x509.ExtendedKeyUsage, agnostic, for_servers),
        "ee_policy": ee.may_be_present(x509.ExtendedKeyUsage, agnostic, for_servers).may_be_present(
            x509.SubjectAlternativeName, agnostic, None
        ),
    }


@lru_cache(maxsize=8)
def _store(store: trust.Store) -> Any:
    from cryptography.x509 import verification

    return verification.Store(list(store.authorities))


@lru_cache(maxsize=4096)
def _issuer(certificate: x509.Certificate) -> str | None:
    try:
        with translated():
            return _name(certificate.issuer)
    except Unreadable:
        return None


@lru_cache(maxsize=4096)
def _subject(certificate: x509.Certificate) -> str | None:
    try:
        with translated():
            return _name(certificate.subject)
    except Unreadable:
        return None


def _name(name: x509.Name) -> str:
    return _compared(name.rfc4514_string())


def _compared(name: str) -> str:
    """A name as it is compared: without regard to case, spaces and kinds of strings."""
    return " ".join(name.casefold().split())


def _path(leaf: x509.Certificate, others: Sequence[x509.Certificate], store: trust.Store) -> bool:
    """Whether names and signatures lead from `leaf` to an authority; dates and extensions are not
    looked at. Where that takes too long, or a name cannot be read, it may be."""
    roots: dict[str | None, list[x509.Certificate]] = {}
    for root in store.authorities:
        roots.setdefault(_subject(root), []).append(root)
    roots.pop(None, None)
    if None in map(_issuer, (leaf, *others)):
        return True
    tries = MOST_TRIES
    reached, seen = [leaf], {leaf}
    for _ in range(MOST_DEEP + 1):
        further: list[x509.Certificate] = []
        for at in reached:
            for issuer in (*roots.get(_issuer(at), ()), *_named(others, _issuer(at))):
                authority = issuer in roots.get(_subject(issuer), ())
                if not authority and issuer in seen:
                    continue
                tries -= 1
                if tries < 0:
                    return True
                if _may_be_signed(at, issuer):
                    if authority:
                        return True
                    seen.add(issuer)
                    further.append(issuer)
        if not further:
            return any(c in roots.get(_subject(c), ()) for c in seen)
        reached = further
    return True


@lru_cache(maxsize=4096)  # no store changes it, and it may take a millisecond
def _may_be_signed(at: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        with translated():
            key = issuer.public_key()
    except Unreadable:  # a kind of key that is not known
        return True
    return signatures.signed(at, key) is not False


def _named(those: Sequence[x509.Certificate], subject: str | None) -> Iterator[x509.Certificate]:
    return (each for each in those if subject is not None and _subject(each) == subject)


def _signer(
    path: Sequence[int], ders: Sequence[bytes], stores: Sequence[trust.Store]
) -> bytes | None:
    """The leaf's issuer (DER): as it was sent, else the authority of a store that signed it."""
    from cryptography.hazmat.primitives.serialization import Encoding

    if len(path) > 1:
        return ders[path[1]]
    leaf = _certificate(ders[0])
    if leaf is None:
        return None
    known = (root for store in stores for root in _named(store.authorities, _issuer(leaf)))
    found = next((root for root in known if _may_be_signed(leaf, root)), None)
    return None if found is None else found.public_bytes(Encoding.DER)


def _missing(
    chain: Mapping[str, Any], ders: Sequence[bytes], stores: Sequence[trust.Store]
) -> str | None:
    if chain["complete"] or chain["sent"] > chain["read"]:  # what is not read may be the one
        return None
    awaited = chain["awaited"]
    last = _certificate(ders[chain["path"][-1]])
    if last is not None:
        wanted = _issuer(last)
    else:  # a name can be read where the certificate cannot be as a whole
        wanted = _compared(awaited) if isinstance(awaited, str) else None
    subjects = (_subject(root) for store in stores for root in store.authorities)
    if wanted is not None and wanted in subjects:
        return None
    leaf, *others = map(_certificate, ders)
    # A root may be sent as another signed it that no store has, and an issuer may be sent twice.
    if leaf and any(_path(leaf, [c for c in others if c], store) for store in stores):
        return None
    return awaited if isinstance(awaited, str) else "its issuer's name cannot be read"
