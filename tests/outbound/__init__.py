"""What a run of the program does to the world: every connection, look-up, file and process."""
