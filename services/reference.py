"""The settings that services have besides those of every process, as JSON: for `deed init`.

python -m services.reference        {title: [[variable, default, meaning], ...]}
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import msgspec

from libs.runtime.settings import Settings, variables
from services.execution.settings import ToolSettings
from services.gateway.settings import GatewaySettings
from services.status.settings import StatusSettings

GROUPS: Mapping[str, type[Settings]] = {
    "Tools, for execution": ToolSettings,
    "The gateway": GatewaySettings,
    "Status": StatusSettings,
}


def main() -> int:
    """Returns the exit status."""
    found = {title: variables(kind) for title, kind in GROUPS.items()}
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
