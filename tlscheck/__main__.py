"""`python -m tlscheck` is `tlscheck`."""

from tlscheck.cli import main

main()
