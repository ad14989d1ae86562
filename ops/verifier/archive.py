"""
The verifier in one file: a zip that Python runs, with the modules it needs and nothing else.

The same sources give the same bytes, so that anybody can build it and compare.
"""

from importlib.resources import files
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_LEDGER = (
    "__init__", "audit", "catalogue", "checkpoint", "commitment", "event_types", "files", "findings", "lists", "merkle", "note", "policy", "proof",
    "proving", "report", "source", "subset", "summary", "tiles",
)  # fmt: skip

MODULES = (
    "consent/__init__.py",
    "consent/answer.py",
    "consent/completeness.py",
    *(f"consent/ledger/{name}.py" for name in _LEDGER),
    "consent/standing.py",
    "consent/verify.py",
    "ops/__init__.py",
    "ops/verifier/__init__.py",
    "ops/verifier/address.py",
    "ops/verifier/program.py",
)
"""What goes in; a test runs the archive where nothing but `cryptography` can be imported."""

_MAIN = b"import sys\n\nfrom ops.verifier.program import main\n\nsys.exit(main())\n"
_SHEBANG = b"#!/usr/bin/env python3\n"


def build() -> bytes:
    """The archive's bytes."""
    buffer = BytesIO()
    buffer.write(_SHEBANG)
    with ZipFile(buffer, "a", ZIP_DEFLATED) as archive:
        for name in MODULES:
            house, _, path = name.partition("/")
            archive.writestr(_plain(name), files(house).joinpath(path).read_bytes())
        archive.writestr(_plain("__main__.py"), _MAIN)
    return buffer.getvalue()


def write(target: Path) -> bytes:
    """Write the archive, executable; returns its bytes. Raises OSError."""
    content = build()
    target.write_bytes(content)
    target.chmod(0o755)
    return content


def _plain(name: str) -> ZipInfo:
    info = ZipInfo(name)  # the oldest date that zip knows, whatever the day
    info.compress_type = ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info
