"""
The verifier's command line: a log in a directory or at an address, a receipt, or an auditor's answer.
"""

import argparse
import json
import os
import sys
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

from consent.completeness import is_answer, verify_answer
from consent.ledger.findings import Finding
from consent.ledger.policy import Policy, PolicyInvalid
from consent.ledger.report import UNUSABLE, Report
from consent.ledger.source import Directory, Source
from consent.verify import verify_log, verify_receipt
from ops.verifier.address import Address

DESCRIPTION = """\
Vérifier un journal de preuves (dossier ou adresse), un reçu .tlog-proof ou la réponse d'un audit, sans la passerelle.
Verify a ledger (directory or address), a .tlog-proof receipt or an audit's answer, without the gateway."""

EPILOG = """\
Sortie : 0 valable, 1 altéré, 2 inutilisable. La dernière tête vérifiée d'un journal est gardée, et la suivante doit la continuer.
Exit code: 0 valid, 1 altered, 2 unusable. The last verified head of a log is kept, and the next one must continue it."""

_ASKED_WRONGLY = 2


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> int:
    """Run the command; returns its exit code. `arguments` are those of the process by default."""
    asked = _parser(program).parse_args(arguments)
    try:
        report = _verified(asked)
    except OSError as error:
        _say(f"{error.filename or asked.target} : {error.strerror or error}")
        return _ASKED_WRONGLY
    except ValueError as error:
        _say(str(error))
        return _ASKED_WRONGLY
    if asked.as_json:
        print(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        texts = {"fr": report.to_text_fr(), "en": report.to_text_en()}
        print("\n".join(texts.values()) if asked.lang == "both" else texts[asked.lang], end="")
    return report.exit_code


def _parser(program: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program, description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", help="dossier, adresse http(s) ou fichier ; directory, http(s) address or file")
    parser.add_argument("--vkey", help="clé publique du journal, obtenue à part ; the log's public key, obtained apart")
    parser.add_argument("--policy", type=Path, help="politique C2SP tlog-policy ; policy: logs, witnesses, quorum")
    parser.add_argument(
        "--witness", action="append", default=[], help="clé publique d'un témoin ; a witness's public key"
    )
    state = parser.add_mutually_exclusive_group()
    state.add_argument(
        "--state", type=Path, help="fichier qui garde la dernière tête vue ; file that keeps the last head"
    )
    state.add_argument("--seen", type=Path, help="checkpoint vu auparavant ; a checkpoint seen before")
    state.add_argument("--no-state", action="store_true", help="ne rien garder ; keep nothing")
    parser.add_argument(
        "--disclosure", type=Path, help="événement montré, JSON {event, opening} ; an event shown with its opening"
    )
    parser.add_argument(
        "--log",
        help="avec une réponse : le journal, dossier ou adresse ; with an answer: the log, directory or address",
    )
    parser.add_argument("--entry", help="entrée attendue dans un reçu, en base64 ; the entry expected in a receipt")
    parser.add_argument("--json", dest="as_json", action="store_true", help="pour un programme ; for a program")
    parser.add_argument("--lang", choices=("fr", "en", "both"), default="both", help="langue ; language")
    return parser


def _verified(asked: argparse.Namespace) -> Report:
    policy = asked.policy.read_bytes() if asked.policy else None
    disclosure = asked.disclosure.read_bytes() if asked.disclosure else None
    path = Path(asked.target)
    if asked.target.startswith(("http://", "https://")):
        with closing(Address(asked.target)) as address:
            report = _log(address, asked, policy, disclosure)
        if address.failure and not report.ok:
            _say(f"{asked.target} : {address.failure}")
        return report
    if path.is_dir():
        return _log(Directory(path), asked, policy, disclosure)
    if is_answer(path):
        if asked.vkey is None:
            return Report(UNUSABLE, (Finding("policy_without_log"),))
        with path.open("rb") as lines, _source(asked.log) as source:
            return verify_answer(lines, asked.vkey, witnesses=asked.witness, source=source)
    entry = None if asked.entry is None else _entry(asked.entry)
    options = {"entry": entry, "witnesses": asked.witness, "policy": policy, "disclosure": disclosure}
    return verify_receipt(path.read_bytes(), asked.vkey, **options)


@contextmanager
def _source(log: str | None) -> Iterator[Source | None]:
    """The static log that an answer is held against, if any."""
    if log is not None and log.startswith(("http://", "https://")):
        with closing(Address(log)) as address:
            yield address
    else:
        yield None if log is None else Directory(Path(log))


def _entry(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ValueError("--entry : base64 attendu ; base64 expected") from None


def _log(source: Source, asked: argparse.Namespace, policy: bytes | None, disclosure: bytes | None) -> Report:
    options = {"witnesses": asked.witness, "policy": policy, "disclosure": disclosure}
    if asked.seen:
        return verify_log(source, asked.vkey, seen=asked.seen.read_bytes(), **options)
    if asked.no_state or asked.state:
        return verify_log(source, asked.vkey, state=asked.state, **options)
    return verify_log(source, asked.vkey, state=_default_state(source, asked.vkey, policy), **options)


def _default_state(source: Source, vkey: str | None, policy: bytes | None) -> Path:
    """Where the last head is kept when nothing is said: one file for each set of keys, in the user's state directory (XDG)."""
    keys = [vkey] if vkey else _logs(policy)
    own = source.read("vkey", 1000) if not keys else None
    name = sha256("\n".join(keys).encode() if keys else own or b"").hexdigest()[:16]
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "trait-dunion" / f"{name}.checkpoint"


def _logs(policy: bytes | None) -> list[str]:
    try:
        return sorted(log.key.vkey for log in Policy.parse(policy or b"quorum none").logs)
    except PolicyInvalid:
        return []


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
