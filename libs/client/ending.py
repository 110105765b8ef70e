"""How a command of `deed` ends: the one list of exit codes, and what is said when it did not do what was asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import msgspec
import typer

from libs.client.rendering.page import visible
from libs.governance.remedies import REMEDIES
from libs.runtime.settings import SettingsError, StartRefused
from libs.stack.errors import NoSuchLog, NoSuchService, NothingRuns, StackError

if TYPE_CHECKING:
    from grpc.aio import AioRpcError

    from libs.client.errors import DeedbookError


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    REFUSED = 1
    WRONG_USE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    AWAY = 5
    IN_DOUBT = 6
    WAITING = 7


MEANINGS: Final[Mapping[Exit, str]] = {
    Exit.DONE: "done",
    Exit.REFUSED: "refused or failed: a rule, a person or the tool said no, or something that was checked is wrong",
    Exit.WRONG_USE: "wrong use of the command",
    Exit.NOT_FOUND: "not found",
    Exit.NOT_ALLOWED: "not authenticated, or not allowed",
    Exit.AWAY: "something is away or was not ready in time: try again",
    Exit.IN_DOUBT: "in doubt: nobody knows whether it happened",
    Exit.WAITING: "still waiting for somebody",
}


_OF_REQUESTS: Final[Mapping[str, Exit]] = {
    "BAD_REQUEST": Exit.WRONG_USE,
    "ID_INVALID": Exit.WRONG_USE,
    "VALUE_INVALID": Exit.WRONG_USE,
    "IN_DOUBT": Exit.IN_DOUBT,
    "NOT_ENDED": Exit.WAITING,
}
_FOR_A_PROGRAM: ContextVar[bool] = ContextVar("for_a_program", default=False)


class Failed(Exception):
    """A command did not do what was asked. `code` is stable; `remedy` says what to do, "" = the reason says it."""

    def __init__(self, code: str, reason: str, remedy: str = "", exit_code: Exit = Exit.REFUSED) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.remedy = remedy
        self.exit_code = exit_code


@contextmanager
def told() -> Iterator[None]:
    """What goes wrong in here is said as `CODE: reason` and its remedy, without a stack trace, and ends the program
    with the exit code that it means. Under --json it is said as an object too."""
    try:
        yield
    except Failed as error:
        _end(error)
    except _loaded("libs.client.errors", "DeedbookError") as error:
        _end(of_client(cast("DeedbookError", error)))
    except NothingRuns as error:
        _end(Failed(error.code, str(error), exit_code=Exit.AWAY))
    except StackError as error:
        there = not isinstance(error, NoSuchLog | NoSuchService)
        _end(Failed(error.code, str(error), exit_code=Exit.REFUSED if there else Exit.NOT_FOUND))
    except SettingsError as error:
        _end(Failed("SETTING_WRONG", str(error), exit_code=Exit.WRONG_USE))
    except StartRefused as error:  # Kafka does not answer
        _end(Failed("AWAY", str(error), exit_code=Exit.AWAY))
    except _loaded("aiokafka.errors", "KafkaError") as error:
        _end(_of_log(error))
    except _loaded("grpc.aio", "AioRpcError") as error:
        _end(of_call(cast("AioRpcError", error)))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _loaded(module: str, name: str) -> tuple[type[Exception], ...]:
    """An error of a library if that was loaded, which takes a while; without it nobody raises one."""
    loaded = sys.modules.get(module)
    return (getattr(loaded, name),) if loaded else ()


def _of_log(error: Exception) -> Failed:
    """What went wrong while the log was read."""
    name = type(error).__name__
    if "Authorization" in name or "Authentication" in name:
        mend = "Ask the operator of Kafka for the right to read it, or give another login: DEED_KAFKA_USERNAME."
        return Failed("KAFKA_NOT_READABLE", f"Kafka refuses this login: {error or name}", mend, Exit.NOT_ALLOWED)
    mend = "Try again; `deed doctor` says what is wrong with it."
    return Failed("AWAY", f"Kafka does not answer as it should: {error or name}", mend, Exit.AWAY)


def of_call(error: AioRpcError) -> Failed:
    """What a call's error means: the stable code that the server gave, else the name of its status."""
    import grpc

    status = error.code()
    said: dict[str, Any] = {entry[0]: entry[1] for entry in cast(Any, error.trailing_metadata()) or ()}
    code = said.get("deedbook-code", status.name)
    meanings = {
        grpc.StatusCode.UNAUTHENTICATED: (Exit.NOT_ALLOWED, "Set a valid token: DEED_TOKEN or DEED_TOKEN_FILE."),
        grpc.StatusCode.PERMISSION_DENIED: (Exit.NOT_ALLOWED, "Ask somebody with the role that the reason names."),
        grpc.StatusCode.NOT_FOUND: (Exit.NOT_FOUND, ""),
        grpc.StatusCode.UNAVAILABLE: (Exit.AWAY, "Try again; `deed ps` and `deed doctor` say what is away."),
        grpc.StatusCode.DEADLINE_EXCEEDED: (Exit.AWAY, "Try again; `deed doctor` says what is slow."),
        grpc.StatusCode.RESOURCE_EXHAUSTED: (Exit.AWAY, "Try again a little later."),
    }
    exit_code, remedy = meanings.get(status, (Exit.REFUSED, ""))
    reason, remedy = error.details() or "no more is known", REMEDIES.get(code, remedy)
    return Failed(code, reason, "" if remedy in reason else remedy, exit_code)


def of_client(error: DeedbookError) -> Failed:
    """What an error of the client means."""
    from libs.client import errors

    exits: tuple[tuple[type[DeedbookError], Exit], ...] = (
        (errors.Misconfigured, Exit.WRONG_USE),
        (errors.Unauthenticated, Exit.NOT_ALLOWED),
        (errors.PermissionDenied, Exit.NOT_ALLOWED),
        (errors.NotFound, Exit.NOT_FOUND),
        (errors.Unavailable, Exit.AWAY),
    )
    exit_code = next((code for kind, code in exits if isinstance(error, kind)), Exit.REFUSED)
    if isinstance(error, errors.InvalidRequest):
        exit_code = _OF_REQUESTS.get(error.code, exit_code)
    told = error.remedy
    return Failed(error.code, error.reason, "" if told in error.reason else told, exit_code)


def answer_for_a_program(wanted: bool) -> None:
    """From here on, what goes wrong is also an object on the standard output, as all answers are under --json."""
    _FOR_A_PROGRAM.set(wanted)


def is_for_a_program() -> bool:
    """Was --json given?"""
    return _FOR_A_PROGRAM.get()


def say(error: Failed) -> None:
    """For people on the standard error, for a program as one object on one line of the standard output."""
    for text in f"{error.code}: {error.reason}\n{error.remedy}".splitlines():
        typer.echo(visible(text), err=True)
    _put(error)


def _put(error: Failed) -> None:
    if is_for_a_program():
        said = {"code": error.code, "reason": error.reason, "remedy": error.remedy}
        typer.echo(msgspec.json.encode({"error": said}).decode())


def _end(error: Failed) -> NoReturn:
    say(error)
    raise typer.Exit(error.exit_code) from None
