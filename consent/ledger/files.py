"""
Files that survive a crash whole: the new content or the old one under a name, never a part of either.
"""

import os
from pathlib import Path


def write_durably(target: Path, content: bytes) -> None:
    """
    Write under a temporary name, flush, rename; `flush` the directory to make the name durable too.

    For one writer at a time: the temporary name is always the same. Raises OSError, and then the old content is still there.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    temporary.rename(target)


def flush(directory: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
