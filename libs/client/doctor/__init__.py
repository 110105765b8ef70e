"""Looks at everything that a system stands on, and says how to mend what is wrong. Each module looks at one thing; none
raises: what cannot be looked at is a finding."""
