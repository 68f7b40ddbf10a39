"""TLS 1.3 for those alone that have a key is not said to be none; where there is none, it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scan.real import observed
from tests.servers.process import ADDRESS, program, running
from tests.servers.profile import Profile
from tlscheck.core.model import Protocol

KEY = "1a2b3c4d"


def tls13(directory: Path, name: str, *flags: str) -> Protocol:
    def command(port: int) -> list[str | Path]:
        if name == "openssl":
            words: list[str | Path] = [program(name), "s_server", "-quiet", "-nocert"]
            return [*words, "-accept", f"{ADDRESS}:{port}", *flags]
        keys = directory / "keys"
        keys.write_text(f"somebody:{KEY}\n")
        return [program("gnutls-serv"), "--quiet", f"--port={port}", f"--pskpasswd={keys}", *flags]

    with running(name, directory, command, Profile({})) as server:
        return observed(server.address, server.port, "localhost", quick=True).protocols["TLSv1.3"]


PSK = "+PSK:+DHE-PSK:+ECDHE-PSK"


@pytest.mark.parametrize(
    ("name", "flags", "alert"),
    [("openssl", ("-tls1_3", "-psk", KEY), "missing_extension"),
     ("openssl", ("-psk", KEY, "-cipher", "ECDHE-PSK-AES128-CBC-SHA"), "missing_extension"),
     ("gnutls", (f"--priority=NORMAL:-VERS-ALL:+VERS-TLS1.3:{PSK}",), "illegal_parameter"),
     ("gnutls", (f"--priority=NORMAL:-KX-ALL:-CIPHER-ALL:+AES-128-GCM:{PSK}",),
      "illegal_parameter")],
    ids=["openssl", "openssl, 1.2 too", "gnutls", "gnutls, 1.2 too"],
)  # fmt: skip
def test_tls_1_3_with_a_pre_shared_key_alone_is_unknown(
    name: str, flags: tuple[str, ...], alert: str, tmp_path: Path
) -> None:
    found = tls13(tmp_path, name, *flags)
    assert found.offered == "unknown" and f"but alert {alert} where" in str(found.why), found
    assert "pre-shared key" in str(found.why)


@pytest.mark.parametrize(
    ("name", "flags"),
    [("openssl", ("-tls1_2", "-psk", KEY, "-cipher", "PSK-AES128-CBC-SHA")),
     ("gnutls", (f"--priority=NORMAL:-VERS-TLS1.3:-KX-ALL:-CIPHER-ALL:+AES-128-GCM:{PSK}",))],
)  # fmt: skip
def test_a_pre_shared_key_without_tls_1_3_is_a_no(
    name: str, flags: tuple[str, ...], tmp_path: Path
) -> None:
    assert tls13(tmp_path, name, *flags).offered == "no"
