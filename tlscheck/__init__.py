"""tlscheck: which TLS every STS and IAM endpoint really speaks, held against the documents.

The map, from the ground up; each part imports only what stands above it here.

- `core`: pure. `registry` names code points, `wire` turns a Hello into bytes and bytes into a
  Reply, `model` holds the nouns, `explore` the strategies, `doubt` what one server cannot have
  said, `policy` the judging, `diff` what changed between two reports, `memory` since the last
  night, `history` over many.
- `scan`: drives explorations of many targets under limits (`scan.prober`, `scan.pace`).
- `io`: one edge each: data files (`catalog`, `policies`, `refresh`) and the configuration
  (`config`, `settings`), all on `datafile`, `places`, `formats` and `secret`; names (`dns`),
  sockets (`tcp`), HTTPS (`https`) and words to the outside (`notify`), both on `trust`;
  certificates (`certificates`); reports on disk (`store`, `nights`, `prune`), what was told of
  them (`state`), the run in progress (`journal`, `lock`), all on `disk`.
- `render`: a report as text. `lab`: stand-ins for the endpoints on loopback.
- `cli`: wires them together.

The command line and the format `tlscheck-report/1` are what others may rely on; of Python names,
`__version__` alone.
"""

__version__ = "0.1.0"
