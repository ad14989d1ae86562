"""
Whose signatures are enough: the logs that are known, the witnesses, and how many of them must have cosigned.

A log gives the file to those who verify it; a gateway reads its own to know which witnesses to ask. Both read the same bytes.

Pure. Source: C2SP tlog-policy.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Self

from consent.ledger.note import COSIGNATURE, ED25519, NoteInvalid, Verifier

MAX_POLICY = 1_000_000
NONE = b"none"

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_THRESHOLD = re.compile(rb"[1-9][0-9]{0,5}")
_WORDS = {"log": (2, 3), "witness": (3, 4), "group": (4, None), "quorum": (2, 2)}


class PolicyInvalid(ValueError):
    """A policy file does not follow the format: `line` is the first wrong one, 0 when something is missing at the end."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Party:
    """A log or a witness: its key and, where it can be reached, its address (a witness's submission prefix)."""

    key: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Members (witnesses or groups, by name), of which `threshold` must have witnessed."""

    threshold: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """
    A policy that was read. Names are bytes, as the format wants them; `quorum` is None when no cosignature is required.
    """

    logs: tuple[Party, ...] = ()
    witnesses: Mapping[bytes, Party] = field(default_factory=dict)
    groups: Mapping[bytes, Group] = field(default_factory=dict)
    quorum: bytes | None = None

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a policy file. Raises PolicyInvalid."""
        reader = _Reader()
        if len(raw) > MAX_POLICY:
            raise PolicyInvalid(0, f"the policy has more than {MAX_POLICY} bytes")
        for number, line in enumerate(raw.split(b"\n"), 1):
            if _FORBIDDEN.search(line):
                raise PolicyInvalid(number, "a control character")
            items = [item for item in re.split(rb"[ \t]+", line) if item]
            if items and not items[0].startswith(b"#"):
                try:
                    reader.read(items)
                except ValueError as error:
                    raise PolicyInvalid(number, str(error)) from None
        if reader.quorum is None:
            raise PolicyInvalid(0, "the policy has no quorum line")
        quorum = None if reader.quorum == NONE else reader.quorum
        return cls(tuple(reader.logs), reader.witnesses, reader.groups, quorum)

    @property
    def keys(self) -> list[Verifier]:
        """The keys of all witnesses: whose cosignatures to verify."""
        return [witness.key for witness in self.witnesses.values()]

    def satisfied(self, cosigned: Container[Verifier]) -> bool:
        """Whether cosignatures by these keys, already verified, make the quorum."""
        return self.quorum is None or self._witnessed(self.quorum, cosigned)

    def _witnessed(self, name: bytes, cosigned: Container[Verifier]) -> bool:
        if (witness := self.witnesses.get(name)) is not None:
            return witness.key in cosigned
        group = self.groups[name]
        return sum(self._witnessed(member, cosigned) for member in group.members) >= group.threshold


class _Reader:
    """What the lines read so far have defined."""

    def __init__(self) -> None:
        self.logs: list[Party] = []
        self.witnesses: dict[bytes, Party] = {}
        self.groups: dict[bytes, Group] = {}
        self.quorum: bytes | None = None
        self._taken: set[bytes] = set()

    def read(self, items: list[bytes]) -> None:
        """Read the items of one line. Raises ValueError."""
        word = items[0].decode("latin-1")
        least, most = _WORDS.get(word, (0, 0))
        if most == 0:
            raise ValueError("a line starts with log, witness, group or quorum")
        if len(items) < least or (most is not None and len(items) > most):
            raise ValueError(f"a {word} line does not have so many items")
        if word == "log":
            self._log(*items[1:])
        elif word == "witness":
            self._witness(*items[1:])
        elif word == "group":
            self._group(items[1], items[2], items[3:])
        else:
            self._quorum(items[1])

    def _log(self, vkey: bytes, url: bytes | None = None) -> None:
        party = _party(vkey, url, ED25519)
        if any(party.key.public == known.key.public for known in self.logs):
            raise ValueError("the key of this log is given twice")
        self.logs.append(party)

    def _witness(self, name: bytes, vkey: bytes, url: bytes | None = None) -> None:
        self._new(name)
        party = _party(vkey, url, COSIGNATURE)
        if any(party.key.public == known.key.public for known in self.witnesses.values()):
            raise ValueError("the key of this witness is given twice")
        self.witnesses[name] = party

    def _group(self, name: bytes, threshold: bytes, members: list[bytes]) -> None:
        self._new(name)
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise ValueError("a group has a member that no line above defines")
            if member in self._taken:
                raise ValueError("a name is a member of groups twice")
            self._taken.add(member)
        words = {b"all": len(members), b"any": 1}
        count = words.get(threshold) or (int(threshold) if _THRESHOLD.fullmatch(threshold) else 0)
        if not 1 <= count <= len(members):
            raise ValueError("a group needs all, any, or between one and all of its members")
        self.groups[name] = Group(count, tuple(members))

    def _quorum(self, name: bytes) -> None:
        if self.quorum is not None:
            raise ValueError("there is more than one quorum line")
        if name != NONE and name not in self.witnesses and name not in self.groups:
            raise ValueError("the quorum is a name that no line above defines")
        self.quorum = name

    def _new(self, name: bytes) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise ValueError("a name is defined twice, or is the reserved word none")


def _party(vkey: bytes, url: bytes | None, kind: int) -> Party:
    try:
        key = Verifier.parse(vkey.decode())
    except (UnicodeDecodeError, NoteInvalid):
        raise ValueError("not a verifier key") from None
    if key.kind != kind:
        raise ValueError("a log's key is of type 0x01, a witness's of type 0x04")
    return Party(key, None if url is None else url.decode("utf-8", "replace"))
