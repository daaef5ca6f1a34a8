"""Many methods, one teacher, one split, one protocol: who makes the better set."""
