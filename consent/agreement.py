"""
What the person said: their agreements, how they take them back, and their objections.

An agreement is read from a `consent` document. Its state is computed from its dates at the moment it is asked for, so
that a withdrawal or the last day counts at once, whatever has been running in between. All functions are pure: those
that change something return the new document. What a withdrawal triggers (telling the recipients) belongs elsewhere.
"""

import copy
from calendar import monthrange
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from consent import reasons
from consent.clock import midnight
from consent.reasons import Reason
from schemas import Document
