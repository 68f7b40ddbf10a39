"""The impure edge: one file for each thing outside the program."""
