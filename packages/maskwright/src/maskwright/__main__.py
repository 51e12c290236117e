"""`python -m maskwright` (and `torchrun -m maskwright`) is the command line."""

import sys

from maskwright.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
