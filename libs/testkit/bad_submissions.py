"""Submissions that must be refused, in any number, from a seed: bytes, Avro, JSON, tokens, sizes, identities. Each says
which codes may be the answer to it."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.contracts.errors import CodecError
from libs.contracts.events import Evidence, EvidenceKind, Intent
from libs.ledger.codec import CATALOGUE
from libs.runtime import devkeys
from libs.testkit import seeding

FORMAT = frozenset({"WRONG_MAGIC", "UNKNOWN_SCHEMA", "TRUNCATED", "TRAILING_BYTES", "BAD_VALUE"})
AUTH = frozenset({"AUTH_INVALID"})
HOUR_S = 3_600
Wrong = tuple[str, dict[str, Any]]  # the codes that may be the answer, and what is wrong


@dataclass(frozen=True)
class Bad:
    """One record on `intents`. `token` None = no header. `intent`: what is in it, if it can be said over gRPC too."""

    family: str
    codes: frozenset[str]
    value: bytes
    token: bytes | None
    intent: Intent | None = None


class Hostile:
    """Makes them. `keys`: the folder of the local issuer, whose tokens are the good ones. `taken`: idempotency keys of
    the tenant that others have used."""

    def __init__(self, keys: Path, seed: int, taken: list[Intent]) -> None:
        self.random = random.Random(seed)
        self._taken = taken
        self._number = 0
        self._own = Ed25519PrivateKey.generate()
        who = devkeys.Who("mallory", seeding.TENANT, "MACHINE", ("account-0",))
        self._token = devkeys.mint(keys, who)
        self._headers = jwt.get_unverified_header(self._token)
        self._claims: dict[str, Any] = jwt.decode(self._token, options={"verify_signature": False})
        self._key = (keys / devkeys.KEY_FILE).read_bytes()
        families: list[Callable[[], Bad]] = [
            self._bytes, self._avro, self._json, self._field, self._size, self._identity, self._forged, self._claim,
        ]  # fmt: skip
        self._families = cycle([*families, self._reused] if taken else families)

    def some(self, number: int) -> list[Bad]:
        """So many more, of all families in turn."""
        return [family() for family in islice(self._families, number)]

    # -- what is not an intent at all

    def _bytes(self) -> Bad:
        value = self.random.randbytes(self.random.choice([0, 1, 4, 5, 6, 40, 4_000]))
        return self._with(FORMAT, value, "bytes")

    def _avro(self) -> Bad:
        """An intent that was damaged until nobody takes it for one."""
        value = CATALOGUE.encode_message(self._intent())
        while True:
            damaged = bytearray(value)
            match self.random.randrange(4):
                case 0:
                    del damaged[self.random.randrange(len(damaged)) :]
                case 1:
                    damaged += self.random.randbytes(self.random.randint(1, 9))
                case 2:
                    damaged[1:5] = self.random.randbytes(4)
                case _:
                    for _ in range(self.random.randint(1, 8)):
                        damaged[self.random.randrange(5, len(damaged))] = self.random.randrange(256)
            try:
                CATALOGUE.decode_message(bytes(damaged), "intents")
            except CodecError:
                return self._with(FORMAT, bytes(damaged), "avro")

    # -- intents with something wrong

    def _json(self) -> Bad:
        deep = self.random.randint(100, 3_000)
        code, text = self.random.choice(
            [
                ("JSON_DUPLICATE_KEY", '{"a":1,"a":2}'),
                ("JSON_DUPLICATE_KEY", '{"x":{"\\u0061":1,"a":2}}'),
                ("JSON_NUMBER", f'{{"a":{2**53 + self.random.randint(1, 99)}}}'),
                ("JSON_NUMBER", '{"a":1e999}'),
                ("JSON_NUMBER JSON_SYNTAX", '{"a":NaN}'),
                ("JSON_SYNTAX", self.random.choice(["", "{", '{"a":1,}', "{'a':1}", '{"a":01}', '{"a":1} x'])),
                ("JSON_NOT_AN_OBJECT", self.random.choice(["[]", "1", "null", '"text"'])),
                ("JSON_UNICODE JSON_SYNTAX", '{"a":"\\ud800"}'),
                ("JSON_TOO_DEEP JSON_TOO_LARGE", '{"a":' + "[" * deep + "]" * deep + "}"),
                ("JSON_TOO_LARGE", '{"a":"' + "x" * 70_000 + '"}'),
            ]
        )
        return self._wrong("json", (code, {"arguments": text}))

    def _field(self) -> Bad:
        now_at, wrong = seeding.now_at(), self.random.choice(["\x00", "\x1b[2J", "\u202e", "\n"])
        wrongs: list[Wrong] = [
            ("FIELD_INVALID", {"idempotency_key": ""}),
            ("FIELD_INVALID", {"idempotency_key": f"evil{wrong}"}),
            ("FIELD_INVALID", {"tool": ""}),
            ("FIELD_INVALID", {"tool": f"builtin/{wrong}"}),
            ("FIELD_INVALID", {"cost_cap_micros": -self.random.randint(1, 9)}),
            ("FIELD_INVALID", {"expires_at": self.random.choice([0, -1])}),
            ("EXPIRED", {"expires_at": now_at - self.random.randint(1, 10**9)}),
            ("EXPIRY_TOO_FAR", {"expires_at": now_at + 10**14}),
        ]
        return self._wrong("field", self.random.choice(wrongs))

    def _size(self) -> Bad:
        """Larger than anything may be; the largest do not get as far as a field."""
        many = self.random.randint(65, 500)
        evidence = Evidence(EvidenceKind.SOURCE, "ticket", "T")
        wrongs: list[Wrong] = [
            ("FIELD_INVALID", {"idempotency_key": "k" * self.random.randint(201, 900)}),
            ("FIELD_INVALID", {"run_id": "r" * self.random.randint(257, 9_000)}),
            ("FIELD_INVALID", {"evidence": (evidence,) * many}),
            ("OVERSIZE", {"run_id": "r" * self.random.randint(131_073, 400_000)}),
        ]
        return self._wrong("size", self.random.choice(wrongs))

    def _identity(self) -> Bad:
        account = self.random.choice(["account-1", "ACCOUNT-0", "account-0 ", "*", "globex/account-0", "../account-0"])
        return self._wrong("identity", ("PERMISSION_DENIED", {"account": account}))

    def _reused(self) -> Bad:
        """The key of somebody else's deed under other content: it must not be touched."""
        theirs = self.random.choice(self._taken)
        changed = msgspec.structs.replace(theirs, account="", arguments=f'{{"stolen":{self.random.randrange(10**9)}}}')
        return self._of("reused", frozenset({"KEY_REUSED"}), changed)

    # -- tokens

    def _forged(self) -> Bad:
        """Not signed by the issuer, whatever it says."""
        head, claims, signature = self._token.split(".")
        other = base64.urlsafe_b64encode(json.dumps(self._claims | {"tenant": "globex"}).encode()).rstrip(b"=").decode()
        token = self.random.choice(
            [
                None,
                "",
                "x" * self.random.randint(1, 20_000),
                f"{head}.{claims}.",
                f"{head}.{other}.{signature}",
                f"{head}.{claims}.{signature[::-1]}",
                jwt.encode(self._claims, None, "none", headers={"typ": "at+jwt"}),  # type: ignore[arg-type]
                jwt.encode(self._claims, "k" * 64, "HS256", headers=self._headers | {"alg": "HS256"}),
                jwt.encode(self._claims, self._own, "EdDSA", headers=self._headers),
                jwt.encode(self._claims, self._own, "EdDSA", headers={"kid": "mine", "typ": "at+jwt"}),
                jwt.encode(self._claims, self._own, "EdDSA", headers=self._headers | {"jku": "https://evil.test/k"}),
            ]
        )
        raw = None if token is None else token.encode()
        return self._replaced(self._of("forged", AUTH, self._intent()), raw)

    def _claim(self) -> Bad:
        """Signed by the issuer, and still not to be believed."""
        now = int(time.time())
        wrong: dict[str, Any] = self.random.choice(
            [
                {"exp": now - HOUR_S, "iat": now - 2 * HOUR_S}, {"iat": now + HOUR_S, "exp": now + HOUR_S + 60},
                {"exp": now + 100 * HOUR_S}, {"exp": "soon"}, {"iat": None}, {"aud": "other"}, {"aud": []},
                {"iss": "https://evil.test"}, {"tenant": ""}, {"tenant": "a/b"}, {"tenant": "a:b"}, {"tenant": 7},
                {"sub": ""}, {"sub": " x"}, {"sub": "x" * 129}, {"kind": "SYSTEM"}, {"accounts": "account-0"},
                {"accounts": ["a"] * 257}, {"roles": {"operator": True}}, {"roles": [""]},
            ]
        )  # fmt: skip
        claims = {name: value for name, value in (self._claims | wrong).items() if value is not None}
        return self._replaced(self._of("claim", AUTH, self._intent()), self._raw(claims))

    def _raw(self, claims: dict[str, Any]) -> bytes:
        """Signed as it is: the library would look at some of these claims first."""
        return jwt.api_jws.encode(
            json.dumps(claims).encode(), self._key, devkeys.ALGORITHM, headers=self._headers
        ).encode()

    # -- pieces

    def _intent(self, **given: Any) -> Intent:
        self._number += 1
        return seeding.intent(f"hostile-{self._number}", **given)

    def _wrong(self, family: str, wrong: Wrong) -> Bad:
        codes, given = wrong
        return self._of(family, frozenset(codes.split()), msgspec.structs.replace(self._intent(), **given))

    def _of(self, family: str, codes: frozenset[str], intent: Intent) -> Bad:
        return replace(self._with(codes, CATALOGUE.encode_message(intent), family), intent=intent)

    def _with(self, codes: frozenset[str], value: bytes, family: str) -> Bad:
        return Bad(family, codes, value, self._token.encode())

    def _replaced(self, bad: Bad, token: bytes | None) -> Bad:
        return replace(bad, token=token)
