"""deed approve, deny, withdraw: a person agrees to exactly one action, refuses it, or takes an agreement back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import DECIDE, IntentId, Json, Reason, ask, examples, put_json
from libs.governance.remedies import remedy

if TYPE_CHECKING:
    from libs.client.answering import Answer
    from libs.client.client import Client
    from libs.client.results import Approval, Deed

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask back; for scripts.")]
Digest = Annotated[
    str, typer.Option("--digest", help="Go on only if the request has this digest, as you saw it elsewhere.")
]
ONE = "6f1f5c3e-9d0b-5a4f-8c27-d1e0b4a3962d"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        rich_help_panel=DECIDE,
        epilog=examples(f"deed approve {ONE}", f"deed --as ann approve {ONE} --yes --reason 'as agreed'"),
    )(approve)
    app.command(rich_help_panel=DECIDE, epilog=examples(f"deed deny {ONE} --reason 'the wrong invoice'"))(deny)
    app.command(rich_help_panel=DECIDE, epilog=examples(f"deed withdraw {ONE} --reason 'the order was called off'"))(
        withdraw
    )


def approve(intent: IntentId, reason: Reason = "", yes: Yes = False, digest: Digest = "", json: Json = False) -> None:
    """Agrees to an action, exactly as it is shown: the vote carries the digest of what you saw."""
    _vote(intent, (True, reason), (yes, digest, json))


def deny(intent: IntentId, reason: Reason = "", yes: Yes = False, digest: Digest = "", json: Json = False) -> None:
    """Refuses an action, as it is shown. One refusal is enough; it ends the intent."""
    _vote(intent, (False, reason), (yes, digest, json))


def withdraw(intent: IntentId, reason: Reason = "", json: Json = False) -> None:
    """Takes back an approval that has not been used. What has started goes on and is recorded."""
    from libs.client.answering import answer_to

    async def question(client: Client) -> Answer:
        _may_be_withdrawn(await client.get(intent))
        return await answer_to(client, intent, await client.withdraw(intent, reason))

    say(ask(question), "The approval is withdrawn.", json)


def _may_be_withdrawn(deed: Deed) -> None:
    """Approval knows neither who was never asked, nor what was decided elsewhere. Raises Failed."""
    if deed.ended:
        raise Failed("ALREADY_ENDED", f"it is {deed.state.value}", remedy("ALREADY_ENDED"))
    if deed.approval is None:
        raise Failed("NOT_GRANTED", "nobody was asked to agree to it", remedy("NOT_GRANTED"))


def say(answer: Answer, words: str, json: bool) -> None:
    """What a command did, and where the intent is now."""
    if json:
        put_json(answer)
        return
    from libs.client.rendering.page import line, put
    from libs.client.rendering.words import state

    put([line(words, " The intent is ", state(answer.deed.state), ".")])


def _vote(intent: str, vote: tuple[bool, str], how: tuple[bool, str, bool]) -> None:
    """`vote`: agree, and why. `how`: without asking back, only this digest, for a program."""
    from libs.client.answering import answer_to
    from libs.client.rendering.approvals import request
    from libs.client.rendering.page import put

    (agree, reason), (yes, digest, json) = vote, how
    deed = ask(lambda client: client.get(intent))
    with told():
        asked = _asked(deed, digest)
        if json and not yes:
            mend = "Look first (`deed get INTENT --json`), then say --yes and --digest."
            raise Failed(
                "NOT_CONFIRMED", "for a program nothing is shown that could be agreed to", mend, Exit.WRONG_USE
            )
        if not json:
            put(request(deed, asked, datetime.now(UTC)))
        confirm("Agree to exactly this?" if agree else "Refuse this?", yes)

    async def question(client: Client) -> Answer:
        send = client.approve if agree else client.deny
        return await answer_to(client, intent, await send(intent, asked.action_digest, reason))

    answer = ask(question)
    say(answer, _words(agree, answer), json)


def _words(agree: bool, answer: Answer) -> str:
    if not agree:
        return "Refused."
    asked = answer.deed.approval
    have, needed = (len(asked.approvers), asked.needed) if asked else (1, 1)
    return f"Agreed; {have} of {needed}." if have < needed else "Approved."


def _asked(deed: Deed, digest: str) -> Approval:
    """The open request. Raises Failed when there is none, or it is another than was seen."""
    asked = deed.approval
    if asked is None or asked.consent is not None or deed.ended:
        became = f"the request is {asked.consent.value}" if asked and asked.consent else f"it is {deed.state.value}"
        raise Failed("NOT_ASKED", f"nobody is asked about it: {became}", f"`deed explain {deed.intent_id}` says more.")
    if digest and digest != asked.action_digest:
        reason = f"the request has the digest {asked.action_digest}"
        raise Failed("DIGEST_MISMATCH", reason, "Look at the request as it is now, and decide on that.")
    return asked


def confirm(question: str, yes: bool) -> None:
    """Ask back on a terminal. Raises Failed when nobody can be asked, or the answer is no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failed("NOT_CONFIRMED", "nobody can be asked here", "In a script say --yes.", Exit.WRONG_USE)
    if not typer.confirm(question, err=True):
        raise Failed("NOT_CONFIRMED", "nothing was sent")
