"""Imports a script once, then runs its ``main`` in a forked child for each line that it reads, to be traced and killed.

A line is a JSON array: the file for what the child writes, the file for its errors, and its arguments. Answered are two lines: the
id of the child, which is stopped before it does anything, so that strace can attach; and, after it was let go on, its exit code.
"""

import ctypes
import importlib.util
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

PR_SET_PTRACER, ANY = 0x59616D61, -1
"""Of prctl(2): strace is no ancestor of the child, so where Yama restricts tracing the child has to allow it."""


def main_of(script: Path) -> Callable[[], object]:
    """Import a script and return its ``main``."""
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    spec.loader.exec_module(module)
    found: Callable[[], object] = module.main
    return found


def run(main: Callable[[], object], written: str, errors: str, arguments: list[str]) -> int:
    """Stop until this process gets SIGCONT, then run ``main``; return the exit code."""
    for number, path in ((1, written), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(ANY), 0, 0, 0)
    sys.argv[1:] = arguments
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def serve(script: Path) -> None:
    """Answer each line of the standard input."""
    main = main_of(script)
    for line in sys.stdin:
        written, errors, *arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(run(main, written, errors, arguments))
        os.waitpid(pid, os.WUNTRACED)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
