"""The verifier as auditors run it: on a directory, at an address, on a receipt, and as one file where nothing is installed."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import sys
import sysconfig
import threading
import venv
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.ledger.commitment import entry_of
from consent.ledger.lists import Covered
from consent.ledger.note import Cosigner, Signer
from consent.ledger.proving import NotProvable, prove
from consent.ledger.source import Directory
from ops.verifier import address, archive, program

SIGNER = Signer.from_seed("journal.valombre.example", bytes(range(32)))
WITNESSES = [
    Cosigner(f"temoin.example/w{number}", Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
    for number in (1, 2)
]
EVENT = (
    '{"actor":"99900009400014","body":{},"id":"1","occurred_at":"2026-11-23T09:00:00.000000Z","type":"content_read"}'
)
OPENING = bytes(range(32))

Run = Callable[..., tuple[int, dict[str, Any]]]


def entries_of(size: int, kind: str = "entry") -> list[bytes]:
    """Distinct entries of 33 bytes, with the commitment to EVENT at place 5."""
    entries = [b"\x01" + sha256(f"{kind} {number}".encode()).digest() for number in range(size)]
    return [*entries[:5], entry_of(EVENT.encode(), OPENING), *entries[6:]] if size > 5 else entries


def disclosure(path: Path, event: str = EVENT) -> Path:
    """A file that shows an event with its opening."""
    path.write_text(json.dumps({"event": event, "opening": b64encode(OPENING).decode()}))
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the verifier; gives its exit code and its JSON report. What it keeps by default is the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "kept"))

    def verify(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        code = program.main([*map(str, arguments), "--json"])
        report = json.loads(capsys.readouterr().out)
        return code, report

    return verify


def codes(report: dict[str, Any]) -> list[str]:
    """What was found."""
    return [finding["code"] for finding in report["findings"]]


class Files(http.server.SimpleHTTPRequestHandler):
    """Files of a directory; the first `busy` requests are answered 503."""

    protocol_version = "HTTP/1.1"
    busy = 0

    def do_GET(self) -> None:
        """Serve a file, or say that it is too early."""
        if Files.busy:
            Files.busy -= 1
            self.send_error(503)
            return
        super().do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A plain file server: its address, and the directory behind it."""
    root = tmp_path / "public"
    root.mkdir()
    Files.busy = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(root)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/ledger", root / "ledger"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_log_at_an_address_is_verified_whole(
    served: tuple[str, Path], run: Run, publish: Callable[..., bytes]
) -> None:
    """Every entry and tile is read over HTTP, and one altered byte is found with its file."""
    url, root = served
    publish(root, entries_of(600), SIGNER)
    code, report = run(url, "--vkey", SIGNER.vkey)
    assert (0, 600, 7) == (code, report["size"], report["checked"]["files"])
    bundle = root / "tile/entries/001"
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"\xff")
    code, report = run(url + "/checkpoint", "--vkey", SIGNER.vkey)
    assert (1, ["tile/entries/001"]) == (code, [finding["file"] for finding in report["findings"]])


def test_the_last_head_is_kept_without_being_asked(
    served: tuple[str, Path], run: Run, publish: Callable[..., bytes]
) -> None:
    """A log that grows is continued; one that goes back, or was rewritten and signed again, is found out."""
    url, root = served
    for size in (7, 300, 301):
        publish(root, entries_of(size), SIGNER)
        code, report = run(url, "--vkey", SIGNER.vkey)
        assert (0, [] if size > 7 else ["never_seen"]) == (code, [note["code"] for note in report["warnings"]])
    shutil.rmtree(root)
    publish(root, entries_of(300), SIGNER)
    assert (1, ["rollback"]) == ((answer := run(url, "--vkey", SIGNER.vkey))[0], codes(answer[1]))
    shutil.rmtree(root)
    publish(root, entries_of(500, "rewritten"), SIGNER)
    assert (1, ["fork"]) == ((answer := run(url, "--vkey", SIGNER.vkey))[0], codes(answer[1]))
    assert 0 == run(url, "--vkey", SIGNER.vkey, "--no-state")[0]


def test_each_log_has_its_own_last_head(tmp_path: Path, run: Run, publish: Callable[..., bytes]) -> None:
    """Heads of logs with other keys are kept apart, whether the key is given, in a policy or beside the log."""
    other = Signer.from_seed(SIGNER.name, bytes(32))
    publish(tmp_path / "one", entries_of(300), SIGNER)
    publish(tmp_path / "two", entries_of(7), other)
    policy = tmp_path / "policy"
    policy.write_text(f"log {other.vkey}\nquorum none\n")
    assert 0 == run(tmp_path / "one", "--vkey", SIGNER.vkey)[0]
    assert 0 == run(tmp_path / "two", "--policy", policy)[0]
    assert 0 == run(tmp_path / "two")[0]
    assert 3 == len(list((tmp_path / "kept" / "trait-dunion").glob("*.checkpoint")))


def test_a_state_that_cannot_be_read_is_not_ignored(tmp_path: Path, run: Run, publish: Callable[..., bytes]) -> None:
    """An altered state is said to be unusable, never quietly replaced."""
    publish(tmp_path / "log", entries_of(7), SIGNER)
    state = tmp_path / "state"
    assert 0 == run(tmp_path / "log", "--vkey", SIGNER.vkey, "--state", state)[0]
    state.write_bytes(state.read_bytes()[:-2] + b"\n")
    answer = run(tmp_path / "log", "--vkey", SIGNER.vkey, "--state", state)
    assert (2, ["seen_unusable"]) == (answer[0], codes(answer[1]))


def test_the_quorum_of_a_policy_is_required(tmp_path: Path, run: Run, publish: Callable[..., bytes]) -> None:
    """Both witnesses, one, or none: what the policy asks for is what is accepted, for a log and for a receipt."""
    one, both = tmp_path / "one", tmp_path / "both"
    lines = "\n".join(f"witness w{i} {witness.verifier.vkey}" for i, witness in enumerate(WITNESSES))
    one.write_text(f"log {SIGNER.vkey}\n{lines}\ngroup g any w0 w1\nquorum g\n")
    both.write_text(f"log {SIGNER.vkey}\n{lines}\ngroup g all w0 w1\nquorum g\n")
    for count, accepted in ((2, (0, 0)), (1, (0, 1)), (0, (1, 1))):
        log, receipt = tmp_path / f"log-{count}", tmp_path / f"{count}.tlog-proof"
        publish(log, entries_of(300), SIGNER, WITNESSES[:count])
        receipt.write_bytes(prove(Directory(log), 299).encode())
        for target in (log, receipt):
            for policy, expected in zip((one, both), accepted, strict=True):
                code, report = run(target, "--policy", policy, "--no-state")
                assert (expected, ["quorum_missing"] * expected) == (code, codes(report))
                assert {witness.verifier.name for witness in WITNESSES[:count]} == set(report["cosigned"])
                assert "never_seen" not in [note["code"] for note in report["warnings"]] or not count


def test_a_policy_names_its_logs(tmp_path: Path, run: Run, publish: Callable[..., bytes]) -> None:
    """Without a key the policy must name the log; a policy that cannot be read is unusable, with its line."""
    publish(tmp_path / "log", entries_of(7), SIGNER)
    receipt, policy = tmp_path / "r.tlog-proof", tmp_path / "policy"
    receipt.write_bytes(prove(Directory(tmp_path / "log"), 0).encode())
    rotated = Signer.from_seed(SIGNER.name, bytes(32))
    cases = {
        "quorum none\n": (2, ["policy_without_log"]),
        f"log {Signer.from_seed('autre.example', bytes(32)).vkey}\nquorum none\n": (1, ["unsigned"]),
        f"log {rotated.vkey}\nlog {SIGNER.vkey}\nquorum none\n": (0, []),
        "quorum all\n": (2, ["policy_malformed"]),
    }
    for text, expected in cases.items():
        policy.write_text(text)
        code, report = run(receipt, "--policy", policy)
        assert expected == (code, codes(report))


def test_a_disclosed_event_is_looked_for_in_the_log(tmp_path: Path, run: Run, publish: Callable[..., bytes]) -> None:
    """An event with its opening is found at its place, by its commitment; an altered one is not there."""
    publish(tmp_path / "log", entries_of(300), SIGNER)
    code, report = run(tmp_path / "log", "--disclosure", disclosure(tmp_path / "event"))
    assert (0, 5, "content_read") == (code, report["index"], report["event"]["type"])
    altered = disclosure(tmp_path / "altered", EVENT.replace("_read", "_sent"))
    code, report = run(tmp_path / "log", "--disclosure", altered)
    assert (1, ["not_in_log"], None) == (code, codes(report), report["event"])
    (tmp_path / "nothing").write_text("{}")
    assert 2 == run(tmp_path / "log", "--disclosure", tmp_path / "nothing")[0]
    receipt = tmp_path / "bare.tlog-proof"
    receipt.write_bytes(prove(Directory(tmp_path / "log"), 5).encode())
    code, report = run(receipt, "--vkey", SIGNER.vkey, "--disclosure", tmp_path / "event")
    assert (0, 5, "content_read") == (code, report["index"], report["event"]["type"])
    code, report = run(receipt, "--vkey", SIGNER.vkey, "--disclosure", altered)
    assert (1, ["entry_not_this"]) == (code, codes(report))


def test_any_entry_is_proved_from_the_files(tmp_path: Path, run: Run, publish: Callable[..., bytes]) -> None:
    """Whoever can read the log makes receipts that verify; an entry it does not have has none."""
    publish(tmp_path / "log", entries_of(70_000), SIGNER)
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        receipt = tmp_path / "r.tlog-proof"
        receipt.write_bytes(prove(Directory(tmp_path / "log"), index).encode())
        code, report = run(receipt, "--vkey", SIGNER.vkey, "--entry", b64encode(entries_of(70_000)[index]).decode())
        assert (0, index) == (code, report["index"])
    for index in (70_000, -1):
        with pytest.raises(NotProvable):
            prove(Directory(tmp_path / "log"), index)
    with pytest.raises(NotProvable):
        prove(Directory(tmp_path / "nowhere"), 0)


def test_a_partial_tile_that_is_no_longer_kept_is_cut_from_the_full_one(
    served: tuple[str, Path], run: Run, publish: Callable[..., bytes]
) -> None:
    """A log may drop partial tiles once they are full: an older head still verifies."""
    url, root = served
    older = publish(root, entries_of(100), SIGNER)
    publish(root, entries_of(600), SIGNER)
    (root / "checkpoint").write_bytes(older)
    for folder in ("tile/0/000.p", "tile/entries/000.p"):
        shutil.rmtree(root / folder)
    code, report = run(url, "--vkey", SIGNER.vkey)
    assert (0, 100, []) == (code, report["size"], codes(report))


def test_a_busy_server_is_asked_again(
    served: tuple[str, Path], run: Run, publish: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few refusals for lack of time do not make a log invalid; a server that is not there makes it unusable."""
    url, root = served
    monkeypatch.setattr(address, "_PAUSES", (0.01, 0.01, 0.01))
    publish(root, entries_of(300), SIGNER)
    Files.busy = 3
    assert 0 == run(url, "--vkey", SIGNER.vkey)[0]
    answer = run("http://127.0.0.1:1/ledger", "--vkey", SIGNER.vkey)
    assert (2, ["checkpoint_missing"]) == (answer[0], codes(answer[1]))


def test_reports_are_in_both_languages(
    tmp_path: Path, publish: Callable[..., bytes], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """French first, then English; one of both when asked."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "kept"))
    publish(tmp_path / "log", entries_of(3), SIGNER)
    shown = {}
    for language in ("both", "fr", "en"):
        assert 0 == program.main([str(tmp_path / "log"), "--vkey", SIGNER.vkey, "--lang", language])
        shown[language] = capsys.readouterr().out
    assert shown["both"].startswith("VALIDE") and "\n\nVALID: nothing was altered." in shown["both"]
    assert shown["fr"].startswith("VALIDE") and "VALID:" not in shown["fr"]
    assert shown["en"].startswith("VALID:")


@pytest.mark.parametrize(
    "arguments",
    [["ftp://journal.example/ledger"], ["/nowhere/at/all", "--vkey", SIGNER.vkey], ["http:///ledger"]],
)
def test_a_target_that_is_none_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line, never a stack trace."""
    assert 2 == program.main(arguments)
    assert 1 == len(capsys.readouterr().err.splitlines())


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python where nothing can be imported but the standard library and `cryptography`."""
    home = tmp_path_factory.mktemp("lonely")
    venv.create(home, with_pip=False, symlinks=True)
    packages = Path(sysconfig.get_paths(vars={"base": str(home), "platbase": str(home)})["purelib"])
    installed = Path(sysconfig.get_paths()["purelib"])
    for name in ("cryptography", "cffi", *(path.name for path in installed.glob("_cffi_backend*"))):
        (packages / name).symlink_to(installed / name)
    return home / "bin" / "python"


def test_the_archive_runs_where_nothing_is_installed(
    lonely: Path, served: tuple[str, Path], publish: Callable[..., bytes], tmp_path: Path
) -> None:
    """In an isolated process with only `cryptography`, one file verifies a log, an address, a receipt and finds tampering."""
    url, root = served
    publish(root, entries_of(600), SIGNER, WITNESSES)
    verifier, receipt = tmp_path / "verifier.pyz", tmp_path / "r.tlog-proof"
    assert archive.write(verifier) == archive.build() == verifier.read_bytes()
    receipt.write_bytes(prove(Directory(root), 300).encode())

    def lone(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
        words = [str(lonely), "-I", str(verifier), *map(str, arguments), "--vkey", SIGNER.vkey, "--json"]
        done = subprocess.run(
            words, cwd=tmp_path, capture_output=True, text=True, check=False, env={"HOME": str(tmp_path)}
        )
        assert "" == done.stderr
        return done.returncode, json.loads(done.stdout)

    for module in ("sqlalchemy", "typer", "httpx", "consent"):
        found = subprocess.run([str(lonely), "-I", "-c", f"import {module}"], capture_output=True, check=False)
        assert b"ModuleNotFoundError" in found.stderr
    for target in (root, url, receipt):
        code, report = lone(target, "--disclosure", disclosure(tmp_path / "event")) if target == root else lone(target)
        assert (0, "valid", 600) == (code, report["outcome"], report["size"])
    (root / "checkpoint").write_bytes((root / "checkpoint").read_bytes().replace(b"\n600\n", b"\n601\n"))
    assert (1, ["signature"]) == ((answer := lone(root))[0], codes(answer[1]))
    publish(tmp_path / "bad", indexed({100: GROWING[200], 200: GROWING[100]}), SIGNER)
    assert (1, ["index_root"]) == ((answer := lone(tmp_path / "bad", "--no-state"))[0], codes(answer[1])[:1])


GROWING = {100: Covered(0, 90, bytes(32)), 200: Covered(0, 190, b"r" * 32), 300: Covered(0, 290, b"s" * 32)}
"""Roots of the index as a log has them, by their places."""


def indexed(roots: dict[int, Covered]) -> list[bytes]:
    """The entries of a log that has these roots of its index."""
    entries = entries_of(400)
    for place, covered in roots.items():
        entries[place] = covered.encode()
    return entries


@pytest.mark.parametrize(
    ("place", "covered"),
    [
        pytest.param(300, Covered(0, 150, b"s" * 32), id="shrunk"),
        pytest.param(300, Covered(0, 190, b"s" * 32), id="changed"),
        pytest.param(300, Covered(5, 290, b"s" * 32), id="begins later"),
        pytest.param(300, Covered(0, 301, b"s" * 32), id="runs ahead"),
    ],
)
def test_an_index_that_does_not_continue_is_detected(
    place: int, covered: Covered, tmp_path: Path, run: Run, publish: Callable[..., bytes]
) -> None:
    """A root of the index that shrinks, changes, begins elsewhere or runs ahead is named by its place, though the log is signed."""
    publish(tmp_path / "good", indexed(GROWING), SIGNER)
    assert (0, 3) == (run(tmp_path / "good")[0], run(tmp_path / "good")[1]["checked"]["index_roots"])
    publish(tmp_path / "bad", indexed(GROWING | {place: covered}), SIGNER)
    code, report = run(tmp_path / "bad", "--no-state")
    assert (1, [("index_root", place)]) == (
        code,
        [(finding["code"], finding["index"]) for finding in report["findings"]],
    )


def test_the_archive_is_made_by_the_command(tmp_path: Path) -> None:
    """`tdu ledger zipapp` writes the file and says its digest, so that an auditor compares it with another build."""
    words = [sys.executable, "-m", "ops.cli", "ledger", "zipapp", str(tmp_path / "verifier.pyz")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    content = (tmp_path / "verifier.pyz").read_bytes()
    assert (len(content), sha256(content).hexdigest()) == (told["bytes"], told["sha256"])
    assert len(content) < 100_000
