"""What the system does on this machine, in figures: `python -m benchmarks --help`. Only what is proven counts."""
