"""Many methods, one teacher, one split, the same protocols: who makes the better set."""
