"""The offline verifier on exported logs: whole, altered bit by bit, forked, rolled back, and interrupted while written."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consent.ledger import export
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.export import ExportRefused, StaticLog
from consent.ledger.findings import SENTENCES
from consent.ledger.merkle import HASH_SIZE, leaf_hash
from consent.ledger.note import Signer
from consent.ledger.tiles import ENTRIES, RightEdge, encode_bundle, parse_path, tiles_of
from consent.verify import Report, verify_directory

ORIGIN = "journal.valombre.example"
WITNESS = "temoin.example/w1+93538984+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
SIGNER = Signer.from_seed(ORIGIN, bytes(range(32)))


def entries_of(size: int, prefix: bytes = b"") -> list[bytes]:
    """Distinct entries of 33 bytes, like commitments."""
    return [prefix + i.to_bytes(33 - len(prefix), "big") for i in range(size)]


def note_of(entries: list[bytes], signer: Signer = SIGNER) -> bytes:
    """The signed checkpoint of a log of these entries."""
    root = RightEdge().extend([leaf_hash(entry) for entry in entries]).edge.root()
    return Checkpoint(signer.name, len(entries), root).signed(signer).note


def files_of(entries: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """The tiles and bundles of a log, in the order in which they are written."""
    tiles = RightEdge().extend([leaf_hash(entry) for entry in entries]).tiles
    for tile in tiles_of(len(entries)):
        bundle = encode_bundle(entries[tile.start : tile.start + tile.width])
        yield tile.path, bundle if tile.level == ENTRIES else tiles[tile.level, tile.n]


def publish(directory: Path, entries: list[bytes], signer: Signer = SIGNER) -> None:
    """Write the static log with the product's own writer."""
    log = StaticLog(directory)
    with log.held():
        log.put("vkey", f"{signer.vkey}\n".encode())
        for path, content in files_of(entries):
            log.put(path, content)
        log.publish(note_of(entries, signer))


def codes(report: Report) -> list[str]:
    """The codes of the findings, in order."""
    return [finding.code for finding in report.findings]


def flip(path: Path, bit: int) -> None:
    """Change one bit of a file in place."""
    raw = bytearray(path.read_bytes())
    raw[bit // 8] ^= 1 << bit % 8
    path.write_bytes(raw)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 600, 65_536, 65_537])
def test_a_whole_log_is_valid(tmp_path: Path, size: int) -> None:
    """Every entry and file of a log is compared, and the report says of which log and how many."""
    publish(tmp_path, entries_of(size))
    report = verify_directory(tmp_path, SIGNER.vkey)
    files = len(list(tiles_of(size)))
    assert report.to_json()["findings"] == []
    assert (report.outcome, report.exit_code, report.origin, report.size) == ("valid", 0, ORIGIN, size)
    assert report.checked == {"entries": size, "files": files}


def test_every_bit_of_a_small_log_counts(tmp_path: Path) -> None:
    """In a log grown from 2 to 3 entries, each single-bit change of each file, older partial tiles included, is detected."""
    publish(tmp_path, entries_of(2))
    publish(tmp_path, entries_of(3))
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    names = ["checkpoint", "tile/0/000.p/2", "tile/0/000.p/3", "tile/entries/000.p/2", "tile/entries/000.p/3", "vkey"]
    assert names == [path.relative_to(tmp_path).as_posix() for path in files]
    flips, missed = 0, []
    for path in files:
        for bit in range(len(path.read_bytes()) * 8):
            flip(path, bit)
            for key in (SIGNER.vkey, None)[: 2 if path.name == "vkey" else 1]:
                if verify_directory(tmp_path, key).ok:
                    missed.append((path.name, bit))
            flip(path, bit)
            flips += 1
    assert missed == []
    assert flips > 4_000
    assert verify_directory(tmp_path, SIGNER.vkey).ok


def test_a_changed_bit_of_a_larger_log_is_located(tmp_path: Path) -> None:
    """The report names the altered file alone, the byte of its entry or hash, and the entry; over two levels of tiles."""
    publish(tmp_path, entries_of(300))
    publish(tmp_path, entries_of(600))
    flips = 0
    for path in sorted((tmp_path / "tile").rglob("*")):
        if path.is_dir():
            continue
        name = path.relative_to(tmp_path).as_posix()
        tile = parse_path(name)
        unit = 35 if tile.level == ENTRIES else HASH_SIZE
        for bit in range(flips % 7, tile.width * unit * 8, 311):
            flip(path, bit)
            report = verify_directory(tmp_path, SIGNER.vkey)
            flip(path, bit)
            flips += 1
            at = bit // 8 // unit
            index = (tile.start + at) * 256 ** max(tile.level, 0)
            assert report.exit_code == 1
            assert [(f.file, f.offset, f.index) for f in report.findings] == [(name, at * unit, index)]
            assert name in report.to_text_fr()
            assert f"entrée {index}" in report.to_text_fr()
    assert flips > 1_000


def test_a_missing_or_short_file_is_named(tmp_path: Path) -> None:
    """Each file of the tree is needed; a truncated one is malformed where it ends."""
    publish(tmp_path, entries_of(600))
    for path in sorted(p for p in (tmp_path / "tile").rglob("*") if p.is_file()):
        raw, name = path.read_bytes(), path.relative_to(tmp_path).as_posix()
        path.unlink()
        assert [("file_missing", name)] == [(f.code, f.file) for f in verify_directory(tmp_path, SIGNER.vkey).findings]
        for short in (raw[:-1], b"", raw + b"\0"):
            path.write_bytes(short)
            assert [("file_malformed", name)] == [
                (f.code, f.file) for f in verify_directory(tmp_path, SIGNER.vkey).findings
            ]
        path.write_bytes(raw)


def test_an_entry_and_its_hashes_changed_together_do_not_pass(tmp_path: Path) -> None:
    """Somebody who rewrites an entry and all tiles consistently still lacks the signature over the root."""
    publish(tmp_path, entries_of(300))
    forged = entries_of(300)
    forged[7] = bytes(33)
    for path, content in files_of(forged):
        (tmp_path / path).write_bytes(content)
    assert codes(verify_directory(tmp_path, SIGNER.vkey)) == ["root_differs"]


def test_entries_swapped_or_dropped_are_detected(tmp_path: Path) -> None:
    """The order and the number of entries are part of what is signed."""
    entries = entries_of(4)
    for number, changed in enumerate((entries[::-1], [*entries[:2], entries[3], entries[3]])):
        directory = tmp_path / str(number)
        publish(directory, entries)
        (directory / "tile/entries/000.p/4").write_bytes(encode_bundle(changed))
        assert verify_directory(directory, SIGNER.vkey).exit_code == 1


def test_a_fork_signed_with_the_right_key_needs_an_earlier_state(tmp_path: Path) -> None:
    """A rewritten history verifies alone, with a warning that says so, and is refused against what was seen before."""
    for size in (300, 300, 256):
        seen = note_of(entries_of(size))
        directory = tmp_path / f"fork-{size}"
        shutil.rmtree(directory, ignore_errors=True)
        publish(directory, entries_of(300 if size == 256 else size, b"other"))
        alone = verify_directory(directory, SIGNER.vkey)
        assert (alone.exit_code, [w.code for w in alone.warnings]) == (0, ["never_seen"])
        against = verify_directory(directory, SIGNER.vkey, seen=seen)
        assert (against.exit_code, codes(against), against.warnings) == (1, ["fork"], ())


@pytest.mark.parametrize("size", [1, 2, 100, 255, 256, 257, 511, 512, 600])
def test_a_log_that_grew_continues_what_was_seen(tmp_path: Path, size: int) -> None:
    """Any earlier state of the same log is a prefix, at every width of the last tile."""
    publish(tmp_path, entries_of(600))
    assert verify_directory(tmp_path, SIGNER.vkey, seen=note_of(entries_of(size))).to_json()["findings"] == []


def test_a_log_that_went_backwards_is_refused(tmp_path: Path) -> None:
    """An older checkpoint, although well signed, hides what came after it."""
    publish(tmp_path, entries_of(3))
    report = verify_directory(tmp_path, SIGNER.vkey, seen=note_of(entries_of(5)))
    assert (report.exit_code, codes(report)) == (1, ["rollback"])


def test_the_state_file_remembers_and_only_moves_forward(tmp_path: Path) -> None:
    """The first verification writes the state; later ones are held to it, and a refused one does not change it."""
    state, directory = tmp_path / "state", tmp_path / "log"
    publish(directory, entries_of(3))
    assert [w.code for w in verify_directory(directory, SIGNER.vkey, state=state).warnings] == ["never_seen"]
    assert state.read_bytes() == note_of(entries_of(3))
    publish(directory, entries_of(5))
    assert verify_directory(directory, SIGNER.vkey, state=state).warnings == ()
    assert state.read_bytes() == note_of(entries_of(5))
    publish(tmp_path / "fork", entries_of(7, b"other"))
    assert codes(verify_directory(tmp_path / "fork", SIGNER.vkey, state=state)) == ["fork"]
    assert state.read_bytes() == note_of(entries_of(5))
    with pytest.raises(ValueError, match="once"):
        verify_directory(directory, SIGNER.vkey, state=state, seen=note_of(entries_of(3)))
    state.write_bytes(b"damaged")
    assert (
        verify_directory(directory, SIGNER.vkey, state=state).exit_code,
        codes(verify_directory(directory, SIGNER.vkey, state=state)),
    ) == (2, ["seen_unusable"])


def test_the_key_of_the_directory_is_taken_with_a_warning(tmp_path: Path) -> None:
    """A key that lies beside the log proves nothing about who signed; a given key must agree with it."""
    publish(tmp_path, entries_of(3))
    assert "vkey_not_independent" in [w.code for w in verify_directory(tmp_path).warnings]
    other = Signer.from_seed(ORIGIN, bytes(32))
    assert codes(verify_directory(tmp_path, other.vkey)) == ["unsigned"]
    (tmp_path / "vkey").write_text(other.vkey + "\n")
    assert codes(verify_directory(tmp_path, SIGNER.vkey)) == ["vkey_differs"]
    (tmp_path / "vkey").unlink()
    assert verify_directory(tmp_path, SIGNER.vkey).ok


def test_input_that_is_no_log_is_unusable(tmp_path: Path) -> None:
    """Nothing to verify is another answer than altered: exit code 2."""
    cases: list[tuple[Callable[[], Any], str | None, str]] = [
        (lambda: None, None, "vkey_missing"),
        (lambda: None, SIGNER.vkey, "checkpoint_missing"),
        (lambda: None, "not a key", "vkey_malformed"),
        (lambda: None, WITNESS, "vkey_role"),
        ((tmp_path / "checkpoint").mkdir, SIGNER.vkey, "checkpoint_missing"),
    ]
    for prepare, vkey, code in cases:
        prepare()
        report = verify_directory(tmp_path, vkey)
        assert (report.exit_code, codes(report)) == (2, [code])
    assert verify_directory(tmp_path / "absent", SIGNER.vkey).exit_code == 2


def test_files_outside_the_tree_are_mentioned(tmp_path: Path) -> None:
    """What an interrupted export left behind is not part of the log and does not make it invalid."""
    publish(tmp_path, entries_of(3))
    for path, content in files_of(entries_of(5)):
        log = StaticLog(tmp_path)
        log.put(path, content)
    (tmp_path / "tile" / "0" / ".000.tmp").write_bytes(b"half")
    report = verify_directory(tmp_path, SIGNER.vkey)
    outside = [(w.file, w.index) for w in report.warnings if w.code == "outside_tree"]
    assert (report.exit_code, outside) == (0, [("tile/0/.000.tmp", 3)])


def test_many_anomalies_are_not_all_listed(tmp_path: Path) -> None:
    """A log that is wrong everywhere gives a report that a person can read."""
    publish(tmp_path, entries_of(256 * 30))
    for path in (tmp_path / "tile" / "0").iterdir():
        flip(path, 0)
    report = verify_directory(tmp_path, SIGNER.vkey)
    assert len(report.findings) == 21
    assert codes(report)[-1] == "more_findings"


def test_reports_read_in_both_languages(tmp_path: Path) -> None:
    """Verdict first, then facts, then findings; JSON carries the same."""
    publish(tmp_path, entries_of(3))
    good = verify_directory(tmp_path, SIGNER.vkey)
    assert good.to_text_fr().startswith(
        "VALIDE : rien n’a été altéré.\nJournal : journal.valombre.example\nEntrées signées : 3\n"
    )
    assert good.to_text_en().startswith(
        "VALID: nothing was altered.\nLog: journal.valombre.example\nSigned entries: 3\n"
    )
    flip(tmp_path / "tile/entries/000.p/3", 8 * 36)
    bad = verify_directory(tmp_path, SIGNER.vkey)
    assert (
        "- Le fichier tile/entries/000.p/3 a été altéré : à l’octet 35, l’entrée 1 n’est pas celle" in bad.to_text_fr()
    )
    assert "- File tile/entries/000.p/3 was altered: at byte 35, entry 1 is not" in bad.to_text_en()
    finding = bad.to_json()["findings"][0]
    assert (finding["code"], finding["file"], finding["offset"], finding["index"]) == (
        "entry_differs", "tile/entries/000.p/3", 35, 1,
    )  # fmt: skip
    for fr, en in SENTENCES.values():
        assert fr.endswith(".") and en.endswith(".")


def test_the_verifier_needs_the_standard_library_and_cryptography_only() -> None:
    """Importing it loads no database, no canonicaliser and no other house, so that it can ship as one file."""
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import consent.verify\n"
        "for name in sorted(set(sys.modules) - before):\n"
        "    if 'site-packages' in (getattr(sys.modules[name], '__file__', None) or ''): print(name.split('.')[0])\n"
        "    elif name.split('.')[0] in ('schemas', 'adapters', 'gateway', 'ops', 'asyncio'): print(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == {"cryptography", "_cffi_backend"}


class Interrupted(Exception):
    """Stands for a process that stops between two file calls."""


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int, error: Exception) -> list[str]:
    """Make file call number `at` of the writer raise; returns the list of calls, filled as they happen."""
    calls: list[str] = []

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            if len(calls) - 1 != at:
                return call(*args, **kwargs)
            if name == "close":  # a failing close releases the file all the same, as the death of the process does
                call(*args, **kwargs)
            raise error

        return run

    for name in ("open", "write", "fsync", "close"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    for name in ("rename", "mkdir"):
        monkeypatch.setattr(Path, name, watched(name, getattr(Path, name)))
    return calls


@pytest.mark.parametrize("error", [OSError(errno.EIO, "EIO"), OSError(errno.ENOSPC, "ENOSPC"), Interrupted()])
def test_a_fault_at_every_file_call_leaves_the_old_log_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whichever call fails, what stands in the directory verifies, continues what was seen, and the next export completes it."""
    old, new, at, total = note_of(entries_of(255)), note_of(entries_of(300)), 0, None
    while total is None or at < total:
        directory = tmp_path / str(at)
        publish(directory, entries_of(255))
        with monkeypatch.context() as patch:
            calls = interrupt(patch, at, error)
            try:
                publish(directory, entries_of(300))
                total = len(calls)
            except (OSError, Interrupted):
                pass
        report = verify_directory(directory, SIGNER.vkey, seen=old)
        assert report.to_json()["findings"] == []
        assert (directory / "checkpoint").read_bytes() in (old, new)
        publish(directory, entries_of(300))
        assert verify_directory(directory, SIGNER.vkey, seen=new).ok
        at += 1
    assert total > 40


def test_the_checkpoint_is_written_when_everything_else_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is flushed before it gets its name, each directory before the checkpoint appears, and the root after it."""
    trace: list[tuple[str, str]] = []
    opened: dict[int, str] = {}
    real_open, real_fsync, real_rename = os.open, os.fsync, Path.rename

    def watched_open(path: Path, *args: Any) -> int:
        handle = real_open(path, *args)
        opened[handle] = Path(path).relative_to(tmp_path).as_posix()
        return handle

    def watched_fsync(handle: int) -> None:
        trace.append(("fsync", opened[handle]))
        real_fsync(handle)

    def watched_rename(self: Path, target: Path) -> Path:
        trace.append(("rename", target.relative_to(tmp_path).as_posix()))
        return real_rename(self, target)

    monkeypatch.setattr(os, "open", watched_open)
    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "rename", watched_rename)
    publish(tmp_path, entries_of(300))
    names = [name for call, name in trace if call == "rename"]
    assert names == ["vkey", *(path for path, _ in files_of(entries_of(300))), "checkpoint"]
    for name in names:
        temporary = (Path(name).parent / f".{Path(name).name}.tmp").as_posix()
        assert trace.index(("fsync", temporary)) == trace.index(("rename", name)) - 1
    last = trace.index(("rename", "checkpoint"))
    before, after = trace[:last], trace[last + 1 :]
    folders = [".", "tile", "tile/0", "tile/0/001.p", "tile/1", "tile/1/000.p", "tile/entries", "tile/entries/001.p"]
    last_name = max(i for i, (call, _) in enumerate(before) if call == "rename")
    assert sorted(name for _, name in before[last_name + 1 :]) == sorted([*folders, ".checkpoint.tmp"])
    assert after == [("fsync", ".")]


def test_names_of_an_interrupted_export_are_made_durable_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is already there keeps its bytes, but its directory is flushed again before the checkpoint."""
    publish(tmp_path, entries_of(3))
    flushed: list[Path] = []
    real_flush = export.flush

    def watched_flush(directory: Path) -> None:
        flushed.append(directory)
        real_flush(directory)

    monkeypatch.setattr(export, "flush", watched_flush)
    publish(tmp_path, entries_of(3))
    assert tmp_path / "tile/0/000.p" in flushed


def test_no_file_is_ever_given_other_bytes(tmp_path: Path) -> None:
    """Exporting another log over this one is refused before the checkpoint moves."""
    publish(tmp_path, entries_of(3))
    with pytest.raises(ExportRefused, match=r"tile/entries/000\.p/3"):
        publish(tmp_path, entries_of(3, b"other"))
    assert verify_directory(tmp_path, SIGNER.vkey, seen=note_of(entries_of(3))).ok


def test_two_writers_do_not_share_a_directory(tmp_path: Path) -> None:
    """The second one is told to go away; the first one goes on."""
    with StaticLog(tmp_path).held(), pytest.raises(ExportRefused, match="Un autre export"), StaticLog(tmp_path).held():
        pass
    publish(tmp_path, entries_of(3))
    assert verify_directory(tmp_path, SIGNER.vkey).ok
