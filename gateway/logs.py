"""
Logs: one JSON object a line on stderr, and a last guard that hides what looks like a NIR or a token.

The rule is that no such thing is logged in the first place; the guard is for what a library might write.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

_HIDDEN = "[masqué]"
_NIR = re.compile(
    r"(?<![0-9A-Za-z])[1-478][ .-]?[0-9]{2}[ .-]?[0-9]{2}[ .-]?[0-9][0-9AB][ .-]?[0-9]{3}[ .-]?[0-9]{3}(?:[ .-]?[0-9]{2})?(?![0-9A-Za-z])"
)
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


def redacted(text: str) -> str:
    """Replace what looks like a NIR (13 or 15 characters, spaced or not) or a JWT."""
    return _TOKEN.sub(_HIDDEN, _NIR.sub(_HIDDEN, text))


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON, redacted; a traceback is kept without its message, which may hold values."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return redacted(json.dumps(line, ensure_ascii=False, default=str))


def set_up(level: str) -> None:
    """Send every log to stderr as JSON from `level` on; authlib and the HTTP client stay above DEBUG, they would write tokens."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("httpx", "httpcore"):  # an address at each request
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("authlib", "aiosqlite"):
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))
    for name in ("aiormq", "aio_pika"):  # a traceback for each lost connection; the bus says the same in one line
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.getLogger("uvicorn.access").disabled = True  # addresses are in the spans, by route pattern only
