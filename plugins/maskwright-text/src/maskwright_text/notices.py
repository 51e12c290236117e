"""Lines for the person who opens, imports or exports weights."""

import sys


def note(text: str) -> None:
    """What is asked for still happens, but not all of it is as one might think."""
    print(f"note: {text}", file=sys.stderr)
