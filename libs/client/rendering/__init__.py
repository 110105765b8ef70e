"""From answers to what a person reads. Nothing here calls anything."""
