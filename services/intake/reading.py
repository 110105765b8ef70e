"""From a record on `intents` or `intake.home` to a submission that may be decided on, or to the reason why not.

Everything here looks at the record alone; whether the intent is new is the decider's question.
"""

from __future__ import annotations

import msgspec

from libs.contracts.errors import CodecError
from libs.contracts.events import HomeSubmission, Intent, Principal
from libs.governance.control import ControlView
from libs.governance.digests import JsonRefused, content_digest, read_object
from libs.governance.identity import intent_id, submission_id
from libs.governance.limits import IntentLimits, IntentRefused, check_intent
from libs.governance.redact import literal_secrets
from libs.governance.tokens import AuthRefused, UnknownKey, bearer
from libs.ledger.codec import decode_message
from libs.ledger.service import IN_TRANSACTION, Command, NotYet, Prepared, Record, World
from libs.runtime.logs import trace_id
from services.intake.decider import IntakeWorld, Refused, Submission

INTENTS, HOME = "intents", "intake.home"


class SubmissionRefused(Exception):
    """Something about a submission is not as it must be. `told` is what the submitter hears."""

    def __init__(self, code: str, reason: str, told: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.told = reason if told is None else told


def prepare(record: Record, world: World) -> Prepared:
    """What the record means to intake. Records of other topics are not for it."""
    if record.topic not in (INTENTS, HOME):
        return Prepared(None)
    settings: IntakeWorld = world.owned["intake"]
    home = intent = None
    try:
        if record.flaw:
            raise SubmissionRefused("IN_TRANSACTION" if record.flaw == IN_TRANSACTION else "UNREADABLE", record.flaw)
        home = _arrived(record, settings) if record.topic == INTENTS else _came_home(record)
        intent = decode_message(home.intent, INTENTS)
        arguments = check(intent, home.principal, home.arrived_at, settings.limits, world.control)
    except SubmissionRefused as error:
        return _refused(record, home, intent, error)
    except CodecError as error:
        return _refused(record, home, intent, SubmissionRefused(error.code, str(error)))
    submission = _submission(home, intent, arguments)
    key = intent_id(home.principal.tenant, intent.idempotency_key)
    trace = submission.home.trace_parent
    return Prepared(Command(key=key, body=submission, record=record, id=submission.id, trace_parent=trace))


def _arrived(record: Record, settings: IntakeWorld) -> HomeSubmission:
    """A submission as an outsider published it. Its token must be valid at the broker's time of arrival: what came in
    time must not be refused because the pipeline lags."""
    if len(record.value) > settings.limits.record_bytes_max:
        raise SubmissionRefused("OVERSIZE", f"larger than {settings.limits.record_bytes_max} bytes")
    header = next((value for name, value in record.headers if name.lower() == "authorization"), None)
    try:
        verified = settings.verifier.verify(bearer(header), settings.keys, record.timestamp_at)
        principal = verified.speaks_for(INTENTS, record.value)
    except AuthRefused as error:
        if isinstance(error, UnknownKey) and settings.look_again():
            raise NotYet("the issuer is asked for newer keys") from error
        raise SubmissionRefused(error.code, error.reason, told="the token is not accepted") from error
    return HomeSubmission(
        intent=record.value,
        principal=principal,
        arrived_at=record.timestamp_at,
        origin_topic=record.topic,
        origin_partition=record.partition,
        origin_offset=record.offset,
        forwarded=False,
    )


def _came_home(record: Record) -> HomeSubmission:
    """A submission that was verified by the front end or by another lane. One that was not forwarded is named by its
    own place, since the front end has none."""
    home: HomeSubmission = decode_message(record.value, HOME)
    if home.forwarded:
        return home
    return msgspec.structs.replace(
        home, origin_topic=record.topic, origin_partition=record.partition, origin_offset=record.offset
    )


def check(intent: Intent, principal: Principal, arrived_at: int, limits: IntentLimits, control: ControlView) -> str:
    """The canonical text of the intent's arguments. Raises SubmissionRefused for everything that intake refuses without
    looking at other submissions; fronts ask this before they take an intent."""
    try:
        check_intent(intent, arrived_at, limits)
    except IntentRefused as error:
        raise SubmissionRefused(error.code, str(error)) from error
    _check_account(intent, principal)
    try:
        arguments = read_object(intent.arguments, limits.arguments)
    except JsonRefused as error:
        raise SubmissionRefused(error.code, f"arguments: {error}") from error
    tool = control.tools.get(intent.tool)
    if tool and (literal := literal_secrets(arguments.value, tool.entry.secret_fields)):
        raise SubmissionRefused("SECRET_LITERAL", f"takes a secret:// reference only: {', '.join(literal)}")
    return arguments.text


def _submission(home: HomeSubmission, intent: Intent, arguments: str) -> Submission:
    trace = intent.trace_parent or home.trace_parent
    home = msgspec.structs.replace(home, trace_parent=trace if trace_id(trace) else "")
    digest = content_digest(intent, arguments, home.principal.subject)
    return Submission(submission_id(*_origin(home)), home, intent, arguments, digest)


def _check_account(intent: Intent, principal: Principal) -> None:
    if intent.account and intent.account not in principal.accounts:
        raise SubmissionRefused("PERMISSION_DENIED", "the account is not among those of the token")


def _origin(home: HomeSubmission) -> tuple[str, int, int]:
    return home.origin_topic, home.origin_partition, home.origin_offset


def _refused(record: Record, home: HomeSubmission | None, intent: Intent | None, error: SubmissionRefused) -> Prepared:
    origin = (record.topic, record.partition, record.offset)
    if home is not None:
        origin = _origin(home)
    name = submission_id(*origin)
    shown = intent.idempotency_key if intent else ""
    body = Refused(name, error.code, error.told, error.reason, origin, shown[:200], home.principal if home else None)
    return Prepared(Command(key=name, body=body, record=record, id=name, patient=True))
