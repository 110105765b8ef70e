"""Stands in for a service: answers /ready, stops on SIGTERM. Its name says how it misbehaves."""

from __future__ import annotations

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

NAME = os.environ["DEED_PROCESS"]


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if NAME == "never-ready" else 200)
        self.end_headers()
        self.wfile.write(b"catching up\n" if NAME == "never-ready" else b"ok\n")

    def log_message(self, *args: object) -> None:
        """Nothing: the log is for what the test looks for."""


def main() -> None:
    if NAME == "misconfigured":
        sys.stderr.write("misconfigured does not start: DEED_X is not set.\n")
        sys.exit(os.EX_CONFIG)
    if NAME == "dies":
        sys.stderr.write("something broke\n")
        sys.exit(3)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(f"{NAME} is up\n")
    sys.stdout.flush()
    HTTPServer(("127.0.0.1", int(os.environ["DEED_HTTP_PORT"])), Health).serve_forever()


if __name__ == "__main__":
    main()
