"""How long tlscheck and its peers take for the same work on the same servers, near and far.

`python -m tests.benchmarks` (or `make bench`) writes the table RESULTS.md beside this file.
"""
