"""`python -m libs.stack [FOLDER]`: the two servers alone, until Ctrl-C; prints where they are as one line of JSON."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from libs.stack.errors import StackError
from libs.stack.stack import Stack
from libs.stack.topics import create_topics


def main(arguments: list[str]) -> int:
    """Runs until SIGINT or SIGTERM. Returns the exit status."""
    # Both end by an exception, so that the servers are stopped in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Stack(Path(arguments[0]) if arguments else None) as endpoints:
            asyncio.run(create_topics(endpoints.kafka_bootstrap))
            sys.stdout.write(json.dumps(asdict(endpoints)) + "\n")
            sys.stdout.flush()
            while True:
                signal.pause()
    except KeyboardInterrupt:
        return 0
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
