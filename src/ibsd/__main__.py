"""`python -m ibsd`: the command line."""

import sys

from ibsd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
