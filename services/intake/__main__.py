"""The intake service in a process of its own (the separate shape)."""

from __future__ import annotations

from services.__main__ import main

if __name__ == "__main__":
    main(["--host", "intake"])
