"""Paths that users give."""

import os


def absolute(path: str) -> str:
    """A path that means the same from any folder; ``~`` is the user's home."""
    return os.path.realpath(os.path.expanduser(path))
