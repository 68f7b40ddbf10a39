"""cryptolyzer, asked for versions and suites: `python cryptolyzer_.py ADDRESS PORT FILE`.

It runs with the Python of cryptolyzer's own environment. Its command line has one run a version,
and its `all` does far more; this is what `all` does first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cryptolyzer.tls.ciphers import AnalyzerCipherSuites  # type: ignore[import-not-found]
from cryptolyzer.tls.client import L7ClientTls  # type: ignore[import-not-found]
from cryptolyzer.tls.versions import AnalyzerVersions  # type: ignore[import-not-found]


def main() -> None:
    address, port, file = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    client = L7ClientTls(address, port)
    found = {}
    for version in AnalyzerVersions().analyze(client, None).versions:
        result = AnalyzerCipherSuites().analyze(client, version)
        found[version.version.name] = [suite.value.code for suite in result.cipher_suites]
    file.write_text(json.dumps(found))


main()
