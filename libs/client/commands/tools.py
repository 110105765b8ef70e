"""deed tool list, show, add, accept, quarantine, remove: which tools there are, and what is known about each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libs.client.commands.deciding import confirm
from libs.client.ending import Exit, Failed, told
from libs.client.options import OPERATE, Json, Reason, examples, put_json
from libs.client.rendering.page import show_table, visible

if TYPE_CHECKING:
    from libs.client.control import Done
    from libs.client.registry import Offered
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

Tool = Annotated[str, typer.Argument(metavar="TOOL", help="Its id, server/tool.")]
ADD = examples(
    "deed tool add --from-mcp git --reason 'agents may commit'",
    "deed tool add git/git_commit --from-mcp git --answers tools.toml --reason 'agents may commit'",
)
ADD_HELP = """Registers tools: nothing that is not registered can be called.

Asks a server what it offers and you what it cannot be believed about itself: what happens when an answer is lost, what a call costs, who may use it. For scripts the answers come from a file; `deed tool example` prints one."""  # noqa: E501 - a terminal breaks it


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(help="Which tools there are, and what is known about each.", no_args_is_help=True)
    group.command("list", epilog=examples("deed tool list", "deed tool list --server git --json"))(list_)
    group.command(epilog=examples("deed tool show git/git_commit"))(show)
    group.command(epilog=ADD, help=ADD_HELP)(add)
    group.command(epilog=examples("deed tool example > tools.toml"))(example)
    group.command(epilog=examples("deed tool accept git/git_commit --reason 'read the new text'"))(accept)
    group.command(epilog=examples("deed tool quarantine git/git_push --reason 'it pushed twice'"))(quarantine)
    group.command(epilog=examples("deed tool remove git/git_push --reason 'nobody needs it'"))(remove)
    app.add_typer(group, name="tool", rich_help_panel=OPERATE)


def list_(server: Annotated[str, typer.Option(help="Only tools of this server.")] = "", json: Json = False) -> None:
    """Lists the tools that your tenant may see."""
    from libs.client.control import operate

    found = [_row(tool) for tool in operate(lambda control: control.tools(server))]
    if json:
        put_json(found)
    elif found:
        keys = ("tool", "state", "effect_class", "cost_class", "price_micros", "capability")
        show_table([key.upper() for key in keys], [[str(row[key]) for key in keys] for row in found])
    else:
        typer.echo("No tool is registered: `deed tool add --from-mcp SERVER`.")


def show(tool: Tool, json: Json = False) -> None:
    """Shows all that is known about a tool, its pinned definition too."""
    from libs.client.control import operate

    row = _row(_found(operate(lambda control: control.tools(tool.partition("/")[0])), tool))
    if json:
        put_json(row)
        return
    rows = [(name, value if isinstance(value, str) else _words(value)) for name, value in row.items() if value != ""]
    show_table(("FIELD", "VALUE"), rows)


def add(
    tool: Annotated[str, typer.Argument(metavar="[TOOL]", help="Only this one; its id, server/tool.")] = "",
    from_mcp: Annotated[str, typer.Option(metavar="SERVER", help="Ask this registered server what it offers.")] = "",
    definition: Annotated[str, typer.Option(metavar="FILE", help="Or its definition: JSON as tools/list has it.")] = "",
    answers: Annotated[str, typer.Option(metavar="FILE", help="Answers, TOML; without: you are asked.")] = "",
    *,
    reason: Reason,
    json: Json = False,
) -> None:
    from libs.client.control import operate
    from libs.client.registry import chosen, read_answers

    with told():
        said = read_answers(answers) if answers else None
        server = from_mcp or tool.partition("/")[0]
        if not server or bool(from_mcp) == bool(definition):
            raise Failed("WRONG_USE", "give --from-mcp SERVER, or TOOL with --definition FILE", "", Exit.WRONG_USE)
        if tool and tool.partition("/")[0] != server:
            raise Failed("WRONG_USE", f"{tool} is no tool of {server}", "", Exit.WRONG_USE)
        name = tool.partition("/")[2]
        if definition and said is not None:  # nobody asks the server: what else it offers is not known
            said = {one: table for one, table in said.items() if one == name}
        offered = chosen(server, _offered(server, definition), name, said)
        requests = _requests(server, offered, said, reason)
    for request in requests:
        done = operate(lambda control, request=request: control.change("RegisterTool", request))  # type: ignore[misc]
        _say(f"{request.tool} is registered", done, json)
    if not requests:
        typer.echo("Nothing was registered.", err=True)


def example() -> None:
    """Prints a file of answers for `deed tool add --answers`."""
    from libs.client.registry import ENTRY

    typer.echo(ENTRY, nl=False)


def accept(
    tool: Tool,
    reason: Reason,
    definition_hash: Annotated[str, typer.Option(help="The one that you have read; without: you are shown it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Accepts a tool's changed definition, which ends its quarantine. Shows what its server offers now, and asks."""
    from libs.client.control import operate
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    now = before = None
    if not definition_hash:
        server, _, name = tool.partition("/")
        with told():
            now = next((one for one in _offered(server, "") if one.name == name), None)
            if now is None:
                mend = f"Mend the server, or take the tool away: `deed tool remove {tool} --reason TEXT`."
                raise Failed("UNKNOWN_TOOL", f"{server} does not offer {name} any more", mend, Exit.NOT_FOUND)
        before = _found(operate(lambda control: control.tools(server)), tool).entry
        for line in _differences(before.definition, now.definition):
            typer.echo(visible(line), err=True)
        with told():
            confirm(f"Accept {tool} as it is now?", yes)
        definition_hash = now.hash
    request = pb.AcceptToolRequest(tool=tool, definition_hash=definition_hash, reason=reason)
    done = operate(lambda control: control.change("AcceptTool", request))
    if now is not None and before is not None and now.hash != before.definition_hash:
        # Accepted is a hash; without its text nobody could see afterwards what it was.
        before.definition, before.definition_hash = now.definition, ""
        anew = pb.RegisterToolRequest(tool=tool, entry=before, reason=reason)
        done = operate(lambda control: control.change("RegisterTool", anew))
    _say(f"{tool} is in use", done, json)


def quarantine(tool: Tool, reason: Reason, json: Json = False) -> None:
    """Puts a tool out of use until somebody accepts it."""
    from libs.client.control import operate
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    request = pb.QuarantineToolRequest(tool=tool, reason=reason)
    _say(f"{tool} is out of use", operate(lambda control: control.change("QuarantineTool", request)), json)


def remove(tool: Tool, reason: Reason, json: Json = False) -> None:
    """Takes a tool away."""
    from libs.client.control import operate
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    request = pb.RemoveToolRequest(tool=tool, reason=reason)
    _say(f"{tool} is gone", operate(lambda control: control.change("RemoveTool", request)), json)


def _offered(server: str, definition: str) -> list[Offered]:
    """From a file, or from the server itself. Raises Failed."""
    import msgspec

    from libs.client.control import operate
    from libs.client.discovery import discover
    from libs.client.registry import Offered

    if definition:
        try:
            text = Path(definition).read_text(encoding="utf-8")
            return [Offered(msgspec.json.decode(text)["name"], text)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failed("DEFINITION_INVALID", f"{definition}: {error}", "", Exit.WRONG_USE) from None
    known = operate(lambda control: control.config()).servers
    found = next((one for one in known if one.server == server), None)
    if found is None:
        told_how = f"Register it first: `deed mcp add {server} --reason TEXT`."
        raise Failed("UNKNOWN_SERVER", f"the server {server} is not registered", told_how, Exit.NOT_FOUND)
    return discover(found.profile or server)


def _requests(
    server: str, offered: list[Offered], answers: dict[str, Any] | None, reason: str
) -> list[pb.RegisterToolRequest]:
    """What is to be registered, by the file or by what is answered now. Raises Failed."""
    from libs.client.questions import ask_about, ask_whether
    from libs.client.registry import entry_of
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    found = []
    for one in offered:
        if answers is None:
            typer.echo(visible(f"{server}/{one.name}: {one.purpose}"), err=True)
            if len(offered) > 1 and not ask_whether(server, one):
                continue
        said = answers[one.name] if answers is not None else ask_about(server, one)
        entry = entry_of(server, one, said)
        found.append(pb.RegisterToolRequest(tool=f"{server}/{one.name}", entry=entry, reason=reason))
    return found


def _found(tools: list[pb.Tool], tool: str) -> pb.Tool:
    with told():
        for one in tools:
            if one.tool == tool:
                return one
        raise Failed("UNKNOWN_TOOL", f"{tool} is not registered", "`deed tool list` shows what is.", Exit.NOT_FOUND)


def _row(tool: pb.Tool) -> dict[str, Any]:
    from libs.client.registry import short, shown
    from libs.contracts.proto.deedbook.control.v1 import control_pb2 as pb

    state = short(tool.state, pb.ToolState)
    quarantine = {"quarantine_code": tool.quarantine_code, "observed_hash": tool.observed_hash}
    return {"tool": tool.tool, "state": state, **quarantine, **shown(tool.entry)}


def _differences(before: str, now: str) -> list[str]:
    import difflib

    import msgspec

    def pretty(text: str) -> list[str]:
        return msgspec.json.format(text, indent=2).splitlines()

    return list(difflib.unified_diff(pretty(before), pretty(now), "registered", "offered now", lineterm=""))


def _words(value: Any) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()


def _say(what: str, done: Done, json: bool) -> None:
    if json:
        put_json({"command_id": done.command_id, "control_seq": done.control_seq})
    else:
        typer.echo(f"{what}: control event {done.control_seq}.")
