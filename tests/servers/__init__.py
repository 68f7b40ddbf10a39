"""Real TLS servers of other hands, on loopback, each with the truth about its configuration.

`catalogue.ALL` names every configuration. Each is a context manager that starts one server and
yields a `Server`, whose `profile` says exactly what a scanner has to find. `check` confirms the
profiles with clients of other hands, so that a scanner is never measured against a guess.
"""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it imports asyncore
    import tlslite as _  # noqa: F401
