"""Real TLS servers on loopback that stand in for the endpoints of a catalog."""
