"""`bridgenet` and `python -m bridgenet`: the command line. Nothing heavy is loaded before a command needs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from bridgenet.cli.arguments import INTERRUPTED
    from bridgenet.cli.main import run
    from bridgenet.system import allocator, parallel

    allocator.tune()
    parallel.end_with_launcher()
    code = run(sys.argv[1:])
    if code in (0, INTERRUPTED):  # all processes came here
        parallel.leave_process_group()
    sys.exit(code)


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):  # Python 3.10 has no such flag
        del sys.path[0]  # the current folder: see bridgenet.trust.make_findable
    main()
