"""The processes: do they answer, do they know the switches, are they behind, how are their tool servers?"""

from __future__ import annotations

from collections.abc import Sequence

from libs.client.doctor.findings import Finding, bad, ok, warn
from libs.client.processes import Heard, Process, listen
from libs.client.tool_servers import states

AREA = "processes"
AGE_BAD_S = 5.0
LAG_WARN = 5_000
UNWELL = {
    "DEGRADED": "it was lost or did not answer, and is asked again",
    "OFFLINE": "it has failed again and again; the next call tries it once more",
}


async def look(processes: Sequence[Process]) -> list[Finding]:
    """All processes of the deployment."""
    if not processes:
        mend = "Start the local system (`deed up`), or name all processes in DEED_PROCESSES."
        return [warn(AREA, "all", "where the processes are, nobody said", mend)]
    return [finding for heard in await listen(processes) for finding in of(heard)]


def of(heard: Heard) -> list[Finding]:
    """One process."""
    name = heard.process.name
    if heard.error:
        return [bad(AREA, name, heard.error, "See its log (`deed logs`); it is started again by its supervisor.")]
    found = []
    age, seq = heard.value("control_view_age_seconds"), heard.value("control_seq")
    if age is not None and age > AGE_BAD_S:
        said = f"its view of the switches is {age:.0f} s old, so it counts all as stopped"
        found.append(bad(AREA, name, said, "It cannot follow ledger.control: see its log and the brokers."))
    lag = heard.value("lane_lag")
    if lag is not None and lag > LAG_WARN:
        found.append(warn(AREA, name, f"{lag:,.0f} records behind", "It catches up, or more workers are needed."))
    for labels, count in heard.all("alarms_total"):
        if count:
            said = f"alarm {labels.get('code', '')}, {count:.0f} times since its start"
            found.append(warn(AREA, name, said, "See its log for what happened."))
    for profile, state in states(heard):
        if state in UNWELL:
            mend = f"Read why (`deed logs {name}`), then mend the server or its entry in the servers' file."
            found.append(warn(AREA, name, f"tool server {profile} is {state}: {UNWELL[state]}", mend))
    if not found:
        lag_text = "" if lag is None else f", {lag:.0f} records behind"
        found.append(ok(AREA, name, f"at control event {seq or 0:.0f}, {(age or 0) * 1000:.0f} ms old{lag_text}"))
    return found
