"""Central types, errors and hashing: what every other layer speaks, and knows no other layer."""
