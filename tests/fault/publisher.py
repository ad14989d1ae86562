"""
A publisher that can be cut: it loads everything once, then makes one child for each line it reads, a directory; the child waits
to be let go (a byte on its own pipe), exports the log of the database into the directory, and ends.

    python publisher.py DATABASE VKEY      stdin: "DIRECTORY GO_FIFO"      stdout: the child's pid

Without a database (`-`) the directory holds one, with a mark and a static log: the child places and signs what waits, then exports.
"""

import asyncio
import ctypes
import os
import signal
import sys
from pathlib import Path

import aiosqlite

from consent.ledger.export import export
from consent.ledger.mark import Mark
from consent.ledger.note import Signer
from consent.ledger.sequencer import Sequencer
from gateway.store.database import Database

PR_SET_PTRACER, ANYBODY = 0x59616D61, -1

assert aiosqlite  # loaded before the children are made, so that no call of theirs is for a module


async def publish(url: str, directory: Path, vkey: str) -> None:
    """Export, as `tdu ledger export` does."""
    database = Database(url)
    try:
        async with database.read() as tx:
            await export(tx, directory, vkey)
    finally:
        await database.close()


async def sequence(directory: Path, vkey: str) -> None:
    """Place, sign, mark and publish what waits in the directory's own database, then export."""
    signer = Signer.from_seed(vkey.split("+", 1)[0], bytes(range(32)))
    database = Database(f"sqlite+aiosqlite:///{directory / 'gateway.sqlite'}")
    try:
        await Sequencer(database.write, signer, mark=Mark(directory / "marks", signer.verifier)).catch_up()
        async with database.read() as tx:
            await export(tx, directory / "log", vkey)
    finally:
        await database.close()


def child(url: str, directory: Path, vkey: str, go: str) -> None:
    """Wait to be traced, publish, and say how it went by the exit code alone."""
    ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)
    pipe = os.open(go, os.O_RDWR)
    print(os.getpid(), flush=True)  # told once nothing but the waiting is left to do: strace counts calls from here
    os.read(pipe, 1)
    try:
        asyncio.run(sequence(directory, vkey) if url == "-" else publish(url, directory, vkey))
    except BaseException:
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Make a child for each line."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how the children end
    for line in sys.stdin:
        directory, go = line.split()
        if os.fork() == 0:
            child(sys.argv[1], Path(directory), sys.argv[2], go)


if __name__ == "__main__":
    main()
