"""`python -m tests.told_program CODE`: says what it finds itself to be, as JSON, waits for its input to end, and ends with this code."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import psutil

if __name__ == "__main__":
    itself = psutil.Process()
    found = {
        "argv": sys.argv[1:], "cwd": str(Path.cwd()), "env": os.environ.get("TOLD"), "unset": os.environ.get("HOME"),
        "path": sys.path[0], "leads": os.getpgid(0) == os.getpid(), "parent": os.getppid(), "shown": [w for w in itself.cmdline() if w],
        "name": __name__, "handled": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    }  # fmt: skip
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    sys.stderr.write("trouble\n")
    sys.stdout.write(sys.stdin.read() + "\n")
    sys.exit(int(sys.argv[1]))
