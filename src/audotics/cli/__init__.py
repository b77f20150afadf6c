"""The command line: one file per group, no logic of its own."""
