"""deed submission: whether something that was submitted became an intent, and why not."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Annotated

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import PROPOSE, Json, connection, examples, put_json

if TYPE_CHECKING:
    from libs.client.connection import Connection
    from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb

PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})")
EXITS = {"ACCEPTED": Exit.DONE, "REPEATED": Exit.DONE, "REJECTED": Exit.REFUSED, "PENDING": Exit.WAITING}
EXAMPLES = examples(
    "deed submission 0c9be1a4-7d3f-5e62-89b5-f2a1c6d4873e --intent 6f1f5c3e-9d0b-5a4f-8c27-d1e0b4a3962d",
    "deed submission intents/3/1742      # what another program published: topic, partition and offset",
)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(rich_help_panel=PROPOSE, epilog=EXAMPLES)(submission)


def submission(
    which: Annotated[str, typer.Argument(metavar="SUBMISSION", help="Its id, or TOPIC/PARTITION/OFFSET.")],
    intent: Annotated[str, typer.Option(help="The intent that it asked for; without: rejections only are found.")] = "",
    digest: Annotated[
        str, typer.Option(help="Its content digest, as `deed submit` names it; without: a repeat stays PENDING.")
    ] = "",
    json: Json = False,
) -> None:
    """Whether a submission became an intent; if not, why not and what to do. A rejection is told of nowhere else.

    One whose token was not believed is nobody's: an operator finds it in the dead letters."""
    with told():
        found = asyncio.run(_look(connection(), _id(which), (intent, digest)))
    answer = _answer(found)
    if json:
        put_json(answer)
    else:
        _say(answer)
    raise typer.Exit(EXITS.get(answer["state"], Exit.WAITING))


def _id(which: str) -> str:
    """The id of a submission by its place on the log; an id as it is. Raises Failed for what is no place."""
    from libs.governance.identity import submission_id
    from libs.runtime.requests import show_id

    if "/" not in which:
        return which
    place = PLACE.fullmatch(which)
    if place is None:
        reason = f"{which} is not TOPIC/PARTITION/OFFSET, such as intents/3/1742: both numbers are 0 or more"
        raise Failed("PLACE_INVALID", reason, "`deed submit` names the submission's id, too.", Exit.WRONG_USE)
    return show_id(submission_id(place[1], int(place[2]), int(place[3])))


async def _look(to: Connection, submission_id: str, wanted: tuple[str, str]) -> pb.Submission:
    """`wanted`: the intent, and the digest of the content."""
    from libs.client.calling import Caller
    from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb
    from libs.contracts.proto.deedbook.status.v1 import status_pb2_grpc as rpc

    intent_id, digest = wanted
    request = pb.GetSubmissionRequest(submission_id=submission_id, intent_id=intent_id, content_digest=digest)
    async with to.open(to.status) as channel:
        said = await Caller(to).until_answered(rpc.StatusServiceStub(channel).GetSubmission, request)
        return said.submission


def _answer(found: pb.Submission) -> dict[str, str]:
    from libs.contracts.proto.deedbook.status.v1 import status_pb2 as pb

    return {
        "submission_id": found.submission_id,
        "state": pb.SubmissionState.Name(found.state).removeprefix("SUBMISSION_STATE_"),
        "intent_id": found.intent_id,
        "key": found.idempotency_key,
        "code": found.code,
        "category": pb.ErrorCategory.Name(found.error_category).removeprefix("ERROR_CATEGORY_") if found.code else "",
        "reason": found.reason,
        "remedy": found.remedy,
    }


def _say(answer: dict[str, str]) -> None:
    from libs.client.rendering.page import Grid, Words, line, put

    why = f"{answer['code']}: {answer['reason']}" if answer["code"] else ""
    rows = [
        (name, value)
        for name, value in (("intent", answer["intent_id"]), ("key", answer["key"]), ("why", why))
        if value
    ]
    told_ = [("to do", Words(answer["remedy"], "bold"))] if answer["remedy"] else []
    put([line(answer["submission_id"], "  ", Words(answer["state"], "bold")), Grid((), (*rows, *told_))])
