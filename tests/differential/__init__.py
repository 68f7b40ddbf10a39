"""tlscheck against other clients: openssl s_client, gnutls-cli and sslyze, pair by pair.

Every healthy server is asked by all of them: each version, each suite in each version, each group
in TLS 1.2 and 1.3. tlscheck reads a first flight and stops; they shake hands to the end. Where
they disagree with it, `reasons` says why, and a reason that explains nothing is a failure too.
"""
