"""`bridgenet` and `python -m bridgenet`: the command line. Nothing heavy is loaded before a command needs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from bridgenet import extensions
    from bridgenet.cli.main import run
    from bridgenet.system import allocator

    allocator.tune()
    extensions.add_current_folder()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
