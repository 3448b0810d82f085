"""The visitors' door: `oldphoto restore`, its steps, `teach`, `evaluate`, `weights`, `info`.

Each has a file in `commands`. JAX and OpenCV are imported where they are needed, not before, so
that --help answers at once.
"""

from __future__ import annotations

import argparse
import atexit
import os
import sys
from collections.abc import Sequence

import oldphoto_jax
from oldphoto_jax import heap, terminal
from oldphoto_jax.commands import (
    colorize,
    detect,
    evaluate,
    info,
    inpaint,
    restore,
    teach,
    weights,
)

EPILOG = "exit status: 0 all went well, 1 some photos failed, 2 wrong usage or unusable weights"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    with terminal.listened():
        return _run(argv)


def program() -> int:
    """`main` as a process of its own, which then ends at once and returns to no caller.

    Threads and whatever else waits for the end of a process are done by then. Only taking Python
    and its libraries to pieces is left out, which would take half a second.
    """
    ended: list[int] = []

    def leave() -> None:
        if not ended:  # it ends by an exception, which Python has yet to tell
            return
        for stream in filter(None, (sys.stdout, sys.stderr)):
            try:
                stream.flush()
            except (OSError, ValueError):  # Python tells that, too, and ends with another status
                return
        os._exit(ended[0])

    heap.keep()
    atexit.register(leave)  # called last: those who come later are called before
    ended.append(main())
    return ended[0]


def _run(argv: Sequence[str] | None) -> int:
    args = parser().parse_args(argv)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # other programs need memory
    try:
        return args.command(args)
    except KeyboardInterrupt:
        print("oldphoto: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError, MemoryError) as error:
        if args.debug or not _meant_for_users(error):
            raise
        print(f"oldphoto: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--debug", action="store_true", help="show where an error arose")
    top = argparse.ArgumentParser("oldphoto", description=oldphoto_jax.__doc__, epilog=EPILOG)
    top.add_argument("--version", action="version", version=oldphoto_jax.__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in (restore, detect, inpaint, colorize, teach, evaluate, info, weights):
        command.add(commands, shared)
    return top


def _meant_for_users(error: BaseException) -> bool:
    """Whether the message is ours or the system's; other errors are bugs and keep their trace."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = trace.tb_frame.f_globals.get("__name__", "") if trace else ""
    return place.startswith("oldphoto_jax") or isinstance(error, OSError)


if __name__ == "__main__":
    sys.exit(program())
