"""The machine: device and precision, random streams, memory, progress."""
