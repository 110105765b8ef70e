"""What an operator is asked about a tool before it is registered: all that a server cannot be believed about itself.
What is not known takes the most careful meaning."""

from __future__ import annotations

from typing import Any

import typer

from libs.client.ending import Exit, Failed
from libs.client.registry import Offered
from libs.client.rendering.page import visible

CLASSES = """If an answer is lost, what can the tool do?
  OPAQUE     nothing: it is called once, ever, and a person finds out what happened (when unsure, this)
  KEYED      it takes a key of ours and does the same thing once
  QUERYABLE  it can be asked whether a call was applied"""
FIELDS = {"STRUCTURED": "path", "TEXT": "pattern", "TEMPLATE": "template"}
REFERENCES = """How does its answer name what it made or changed?
  STRUCTURED  a path into the structured answer
  TEXT        a regular expression on the text; its first group is the id
  TEMPLATE    made of the arguments, such as {repo_path}"""


def ask_whether(server: str, offered: Offered) -> bool:
    """Shall this one be registered? Raises Failed when nobody answers."""
    try:
        return typer.confirm("Register it?", default=False)
    except typer.Abort:
        raise _nobody(server, offered) from None


def ask_about(server: str, offered: Offered) -> dict[str, Any]:
    """The answers, as `registry.entry_of` takes them. Raises Failed when nobody answers."""
    try:
        return _ask_about(server, offered)
    except typer.Abort:
        raise _nobody(server, offered) from None


def _nobody(server: str, offered: Offered) -> Failed:
    reason = f"nobody answers what must be known about {server}/{offered.name}"
    return Failed("ANSWERS_MISSING", reason, "Answer in a terminal, or give a file: --answers FILE.", Exit.WRONG_USE)


def _ask_about(server: str, offered: Offered) -> dict[str, Any]:
    found: dict[str, Any] = {
        "capability": typer.prompt("Capability that a caller needs", default=f"{server}.{offered.name}"),
        "effect": _choice("Does it read only, or write", ("READ", "WRITE"), "WRITE"),
    }
    found |= _effect_class(found["effect"])
    found["price_micros"] = typer.prompt("The most that one call costs, in millionths of the currency", default=0)
    found["cost_class"] = _choice("How dear is it", ("CHEAP", "MEDIUM", "EXPENSIVE"), "EXPENSIVE")
    found["roles_allowed"] = _list("Roles that may use it, with commas (empty = everybody)")
    found["timeout_ms"] = typer.prompt("Longest time to wait for its answer, in milliseconds", default=20_000)
    known = visible(f" (one of {', '.join(offered.arguments)})") if offered.arguments else ""
    found["target_path"] = typer.prompt(f"Argument that says what is acted upon{known}", default="", show_default=False)
    return found | _references()


def _effect_class(effect: str) -> dict[str, Any]:
    if effect == "READ":
        return {"effect_class": "READ_ONLY", "attempts_max": 3}
    typer.echo(CLASSES)
    name = _choice("Which", ("OPAQUE", "KEYED", "QUERYABLE"), "OPAQUE")
    found: dict[str, Any] = {"effect_class": name}
    if name == "KEYED":
        found["key_placement"] = _choice("Where does the key go", ("ARGUMENT", "META", "HEADER"), "ARGUMENT")
        found["key_name"] = typer.prompt("Name of that argument, entry or header")
        found["key_window_ms"] = typer.prompt("How long does it honour a key, in milliseconds (0 = unknown)", default=0)
        found["attempts_max"] = 3 if found["key_window_ms"] else 1
    if name == "QUERYABLE":
        found["query_tool"] = typer.prompt("Tool that says whether a call was applied")
        found["query_template"] = typer.prompt("Its arguments, JSON with {argument} and {key} places")
        found["quiet_ms"] = typer.prompt("Time after a call before 'not there' is believed, in ms", default=60_000)
    return found


def _references() -> dict[str, Any]:
    typer.echo(REFERENCES)
    kind = _choice("Which", ("NOTHING", *FIELDS), "NOTHING")
    if kind == "NOTHING":
        return {"success_rule": "ANSWER"}
    field = FIELDS[kind]
    what = typer.prompt("What kind of thing is it, such as commit")
    return {"extractors": [{"kind": kind, "type": what, field: typer.prompt(field.capitalize())}]}


def _choice(question: str, among: tuple[str, ...], default: str) -> str:
    while True:
        chosen = str(typer.prompt(f"{question} ({', '.join(among)})", default=default)).strip().upper()
        if chosen in among:
            return chosen
        typer.echo(f"{chosen} is none of {', '.join(among)}.")


def _list(question: str) -> list[str]:
    said = typer.prompt(question, default="", show_default=False)
    return [item.strip() for item in said.split(",") if item.strip()]
