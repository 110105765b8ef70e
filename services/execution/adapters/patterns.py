"""Regular expressions and JSON schemas of others, in a child process of their own: both can run for ever and cannot be
interrupted, and a lane that stands still loses its lease."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import msgspec

from services.execution.adapters.process import Profile, ServerProcess

TEXT_MAX = 65_536
PATTERN_MAX = 1_000
TIMEOUT_S = 0.5
FAILURES_MAX = 3  # of one schema; a slow machine may have one
SCHEMAS_MAX = 256
START_TIMEOUT_S = 10.0
_CHILD = """
import json, re, resource, sys
from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))

def search(pattern, text):
    found = re.search(pattern, text)
    return None if found is None else found.group(1 if found.re.groups else 0)

def misfit(schema, arguments):
    schema = json.loads(schema)
    judge = validator_for(schema, Draft202012Validator)(schema, registry=Registry())  # which fetches nothing
    error = best_match(judge.iter_errors(json.loads(arguments)))
    if error is None:
        return None
    told = error.message  # names fields only; any other message shows values
    if error.validator not in ("required", "additionalProperties"):
        told = f"breaks {error.validator}: {json.dumps(error.validator_value)}"
    return f"{error.json_path[:100]} {told[:200]}"

print("ready", flush=True)
for line in sys.stdin:
    name, *given = json.loads(line)
    try:
        said = {"search": search, "misfit": misfit}[name](*given)
    except Exception:
        said = False
    print(json.dumps(said), flush=True)
"""


class NotSearched(Exception):
    """Whether the pattern is in the text, or the arguments fit, is not known: the message says why."""


class Patterns:
    """One warm child, one question at a time. One that takes too long ends the child."""

    def __init__(self) -> None:
        self._child: ServerProcess | None = None
        self._answers = bytearray()
        self._lock = asyncio.Lock()
        self._failures: Counter[str] = Counter()  # by schema

    async def first(self, pattern: str, text: str) -> str | None:
        """The first group (or the whole) of the first match in the first 64 KiB of the text; None when there is none.
        Raises NotSearched when the pattern is no pattern, and when the search takes longer than half a second."""
        if len(pattern) > PATTERN_MAX:
            raise NotSearched("the pattern is too long")
        return await self._answer(("search", pattern, text[:TEXT_MAX]))

    async def misfit(self, schema: str, arguments: str) -> str | None:
        """Where arguments do not fit a JSON schema, in words that name fields and no values; None when they fit. Both
        are JSON texts. Raises NotSearched when the schema is none that we can judge by."""
        if self._failures[schema] >= FAILURES_MAX:
            raise NotSearched("it could not be judged by again and again")
        try:
            return await self._answer(("misfit", schema, arguments))
        except NotSearched:  # to wait for it each time would hold up the tools of others
            if schema in self._failures or len(self._failures) < SCHEMAS_MAX:
                self._failures[schema] += 1
            raise

    async def _answer(self, question: tuple[str, str, str]) -> str | None:
        request = msgspec.json.encode(question) + b"\n"
        async with self._lock:
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    child = await self._started()
                async with asyncio.timeout(TIMEOUT_S):
                    found = await self._ask(child, request)
            except (TimeoutError, OSError, msgspec.DecodeError):
                await self.close()
                raise NotSearched("the search did not end") from None
            except asyncio.CancelledError:
                await self.close()  # its answer would be taken for that of the next search
                raise
        if isinstance(found, bool):
            raise NotSearched("it is no pattern and no schema, or the search took too much memory")
        return found

    async def close(self) -> None:
        child, self._child = self._child, None
        self._answers.clear()
        if child is not None:
            await child.stop(grace_s=0)

    async def _started(self) -> ServerProcess:
        if self._child is None or not self._child.alive:
            await self.close()
            child = ServerProcess(Profile(name="patterns", argv=(sys.executable, "-I", "-c", _CHILD)))
            await child.start()
            self._child = child
            await self._line(child)
        return self._child

    async def _ask(self, child: ServerProcess, request: bytes) -> str | bool | None:
        rest = memoryview(request)
        while rest:
            rest = rest[child.write_now(rest) :]
            if rest:
                await child.writable()
        return msgspec.json.decode(await self._line(child), type=str | bool | None)

    async def _line(self, child: ServerProcess) -> bytes:
        while (end := self._answers.find(b"\n")) < 0:
            chunk = await child.read()
            if not chunk:
                raise BrokenPipeError("the child has ended")
            self._answers += chunk
        line = bytes(self._answers[:end])
        del self._answers[: end + 1]
        return line
