"""Raw answers of tools, kept as files named by the hash of their bytes: what the ledger refers to can be looked at
later, and a changed file gives itself away."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

NAME = re.compile(r"sha256/[0-9a-f]{2}/[0-9a-f]{62}")


class ArtifactStore:
    """A folder of content-addressed files. What `put` has returned survives a crash of the machine."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def put(self, data: bytes) -> str:
        """Store and return the name, `sha256/<2 digits>/<62 digits>`. Blocks (fsync): call it in a thread.
        Raises OSError."""
        name = name_of(hashlib.sha256(data).digest())
        target = self._folder / name
        if target.exists():
            return name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, unfinished = tempfile.mkstemp(dir=target.parent, prefix=".part-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(unfinished).replace(target)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
        for folder in (target.parent, target.parent.parent, self._folder):
            _flush(folder)
        return name

    def get(self, name: str) -> bytes:
        """The stored bytes. Raises OSError when they are gone and ValueError when they are not those of the name."""
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of an artifact")
        data = (self._folder / name).read_bytes()
        if name_of(hashlib.sha256(data).digest()) != name:
            raise ValueError(f"artifact {name} was changed")
        return data


def name_of(digest: bytes) -> str:
    """Where the bytes with this SHA-256 are."""
    text = digest.hex()
    return f"sha256/{text[:2]}/{text[2:]}"


def _flush(folder: Path) -> None:
    """The entry of a new file is durable only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
