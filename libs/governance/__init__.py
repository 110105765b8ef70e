"""What governs an intent, without I/O: identities, digests, tokens, policies, validators and the control view."""
