"""Whether the scanner tells the truth about every server of `tests.servers.faults`.

`python -m tests.truth` scans all of them with the real command line, seed after seed, and prints
what it said that is false, what it left open, how long it took, and what each fault expects.
"""
