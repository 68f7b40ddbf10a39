"""tlscheck: which TLS every STS and IAM endpoint really speaks, held against the documents.

The map, from the ground up; each part imports only what stands above it here.

- `core`: pure. `registry` names code points, `reply` holds what is asked and what comes of it,
  `hello` makes bytes of the one and `wire` (on `messages`) the other of bytes, `flight` reads a
  whole first flight, that of TLS 1.3 by key shares without a secret (`shares`), `model` holds the
  nouns, `eliminate` finds what is in a list and `explore` what is in a version, `features` asks for
  all else and `habits` reads it off the answers, `doubt` tells what one server cannot have said,
  `suppose` which server its replies make likely, `foresight` what will probably be asked, `policy`
  judges, `conduct` finds what needs no policy, `opinion` compares with sslyze, `reach` tells
  what a refusal of the HTTPS check is worth and `keyed` one of TLS 1.3, `diff` what changed between
  two reports (`seen`: of certificates, features and what sslyze says), `memory` since the last
  night, `history` over many.
- `scan`: drives explorations of many targets under limits (`prober`, `pace`), asks before it must
  (`ahead`) what servers alike have taught (`lesson`), then asks for features (`looking`) and for a
  second opinion (`second`).
- `io`: one edge each: data files (`catalog`, `policies`, `refresh`) and the configuration
  (`config`, `settings`), all on `datafile`, `places`, `formats` and `secret`; names (`dns`),
  sockets (`tcp`), HTTPS (`https`), port 80 (`http`), sslyze (`deep`, and its child `sslyzed`, on
  `sslyze_mended` and `sslyze_words`) and words to the outside (`notify`); certificates (`chains`,
  on `certificates` and its `fields` and `extensions`, `der`, `ocsp`, `timestamps`, `signatures`
  and `trust`);
  reports on disk (`store`, `nights`, `prune`), what was told of them (`state`), the run in progress
  (`journal`, `lock`), all on `disk`.
- `render`: a report as text, one endpoint of it in full (`endpoint`). `lab`: stand-ins for the
  endpoints on loopback.
- `cli`: wires them together.

The command line and the format `tlscheck-report/1` are what others may rely on; of Python names,
`__version__` alone.
"""

__version__ = "0.1.0"
