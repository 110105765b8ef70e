"""Ids that anybody can compute again: a uuid5 of what they stand for, as 16 raw bytes. They never change (rule 25);
`docs/vectors/intent_id.json` holds examples for other languages."""

from __future__ import annotations

import hashlib

INTENT_NAMESPACE = bytes.fromhex("6f1f5c3e9d0b5a4f8c27d1e0b4a3962d")
SUBMISSION_NAMESPACE = bytes.fromhex("0c9be1a47d3f5e6289b5f2a1c6d4873e")
ENTITY_NAMESPACE = bytes.fromhex("b87a2d5106c4533e9ef1a07c3b52d94f")


def intent_id(tenant: str, idempotency_key: str) -> bytes:
    """uuid5 of the tenant's length in bytes, a colon, the tenant and the key: the length keeps 'a'+'bc' and 'ab'+'c'
    apart (flow.md, decision 1)."""
    raw = tenant.encode()
    return _uuid5(INTENT_NAMESPACE, b"%d:%b%b" % (len(raw), raw, idempotency_key.encode()))


def submission_id(topic: str, partition: int, offset: int) -> bytes:
    """The id of one submission: where it came from."""
    return _uuid5(SUBMISSION_NAMESPACE, f"{topic}/{partition}/{offset}".encode())


def entity_id(kind: str, *parts: str) -> bytes:
    """The key of a thing on the control ledger: its kind and what names it within the kind."""
    name = b"".join(b"%d:%b" % (len(raw), raw) for raw in (part.encode() for part in (kind, *parts)))
    return _uuid5(ENTITY_NAMESPACE, name)


def written(key: bytes) -> str:
    """An id as people write it."""
    text = key.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _uuid5(namespace: bytes, name: bytes) -> bytes:
    digest = bytearray(hashlib.sha1(namespace + name, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return bytes(digest)
