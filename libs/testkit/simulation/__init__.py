"""The lane protocol against a log, a database, clocks and tools that misbehave: seeded, deterministic, without I/O."""
