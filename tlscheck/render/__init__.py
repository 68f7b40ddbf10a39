"""Pure: a report as text, one module a format."""
