"""`ibsd`, and `python -m ibsd`: the command line."""

import os
import sys


def main() -> int:
    """Runs the command line of this process and returns the exit code."""
    # Where stdin, stdout or stderr are closed, the next file opened would stand in for them.
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    try:
        from ibsd.cli.main import main as command_line
    except ModuleNotFoundError as error:
        print(f"ibsd: {error.name} is not installed: pip install ibsd brings it", file=sys.stderr)
        return 2
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
