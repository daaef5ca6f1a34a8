"""The run: its directory, its units of work, and the order in which they are done."""
