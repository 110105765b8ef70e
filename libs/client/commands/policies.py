"""deed policy show, check, publish: what a tenant's agents may do, and when people must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from libs.client.ending import Exit, Failed, told
from libs.client.options import OPERATE, Json, Reason, examples, put_json, text_of

if TYPE_CHECKING:
    from libs.governance.policy import PolicySnapshot

File = Annotated[str, typer.Argument(metavar="FILE", help="The policy, JSON; - reads it from the input.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="What agents may do, and when people must agree.", no_args_is_help=True)
    group.command(epilog=examples("deed policy show", "deed policy show --json > policy.json"))(show)
    group.command(epilog=examples("deed policy check policy.json"))(check)
    group.command(epilog=examples("deed policy publish policy.json --tenant acme --reason 'two eyes more'"))(publish)
    app.add_typer(group, name="policy", rich_help_panel=OPERATE)


def show(json: Json = False) -> None:
    """Shows the policy that judges your tenant's intents, and the hash that verdicts name."""
    import msgspec

    from libs.client.control import operate

    config = operate(lambda control: control.config())
    if not config.HasField("policy"):
        with told():
            mend = "Publish one: `deed policy publish FILE --reason TEXT`."
            raise Failed("NO_POLICY", "no policy is in force, so nothing is allowed", mend, Exit.NOT_FOUND)
    policy = config.policy
    if json:
        text = msgspec.Raw(policy.policy.encode()) if policy.policy else None
        put_json({"tenant": policy.tenant, "policy_hash": policy.policy_hash, "policy": text})
        return
    whose = f"of {policy.tenant}" if policy.tenant else "of all tenants without one of their own"
    typer.echo(f"The policy {whose}, {policy.policy_hash}:")
    typer.echo(msgspec.json.format(policy.policy, indent=2) if policy.policy else "(its text is shown to operators)")


def check(file: File, json: Json = False) -> None:
    """Reads a policy as it would be read when published, and says what is wrong with it; changes nothing."""
    snapshot, _ = _read(file)
    if json:
        put_json({"policy_hash": snapshot.hash.hex()})
    else:
        typer.echo(f"It can be published. Verdicts will name it {snapshot.hash.hex()}.")


def publish(
    file: File,
    reason: Reason,
    tenant: Annotated[str, typer.Option(help="Whose; without: of all that have none of their own.")] = "",
    json: Json = False,
) -> None:
    """Puts a policy in force. Whatever was allowed under another one and is not yet dispatched is looked at again.

    Of several approval rules that fit a call, the one that needs most people counts alone, the first of those."""
    from libs.client.control import operate
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    snapshot, text = _read(file)
    request = pb.PublishPolicyRequest(policy=pb.Policy(tenant=tenant, policy=text), reason=reason)
    done = operate(lambda control: control.change("PublishPolicy", request))
    if json:
        digest = snapshot.hash.hex()
        put_json({"command_id": done.command_id, "control_seq": done.control_seq, "policy_hash": digest})
    else:
        typer.echo(f"The policy {snapshot.hash.hex()} is in force: control event {done.control_seq}.")


def _read(file: str) -> tuple[PolicySnapshot, str]:
    from libs.governance.policy import PolicyRefused, read_policy

    with told():
        try:
            text = text_of(file)
            return read_policy(text), text
        except PolicyRefused as error:
            raise Failed(error.code, str(error), "Correct what the reason names.") from None
