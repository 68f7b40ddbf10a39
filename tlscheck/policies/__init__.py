"""Data: one TOML file a policy version. A published one is superseded, never edited."""
