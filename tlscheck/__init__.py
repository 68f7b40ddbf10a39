"""tlscheck: which TLS every STS and IAM endpoint really speaks, held against the documents."""

__version__ = "0.1.0"
