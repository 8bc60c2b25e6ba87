"""`bridgenet` and `python -m bridgenet`: the command line. Nothing heavy is loaded before a command needs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from bridgenet import extensions
    from bridgenet.cli.arguments import INTERRUPTED
    from bridgenet.cli.main import run
    from bridgenet.system import allocator, parallel

    allocator.tune()
    extensions.add_current_folder()
    parallel.end_with_launcher()
    code = run(sys.argv[1:])
    if code in (0, INTERRUPTED):  # all processes came here
        parallel.leave_process_group()
    sys.exit(code)


if __name__ == "__main__":
    main()
