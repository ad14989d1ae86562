"""
`make screenshots`: pictures of the pages that people see, from a fresh gateway, with a headless Chromium already installed.

The gateway runs embedded on a free port, in a temporary folder; pictures go to `build/screenshots/`. Nothing is installed: what is
missing is said. Exit code 1 when there is no browser or no page.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGES = {"documentation": "/docs", "console": "/console"}
FOLDER = Path("build") / "screenshots"
START_SECONDS = 60.0
SHOT_SECONDS = 60.0


def main() -> int:
    """
    Takes the pictures and says, page by page, what was done; returns the exit code.
    """
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        _say("Il manque Chromium. Installez-le (Debian : apt-get install chromium), puis recommencez.")
        _say("Chromium is missing. Install it (Debian: apt-get install chromium), then try again.")
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    taken = 0
    with tempfile.TemporaryDirectory(prefix="tdu-") as temporary, _gateway(Path(temporary)) as address:
        for name, path in PAGES.items():
            status = httpx.get(address + path, follow_redirects=True).status_code
            if status != httpx.codes.OK:
                _say(f"{path} : pas de page (réponse {status}) / no page (answer {status})")
                continue
            picture = FOLDER / f"{name}.png"
            _photograph(browser, address + path, picture, Path(temporary))
            _say(f"{path} : {picture}")
            taken += 1
    return 0 if taken else 1


@contextmanager
def _gateway(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    # The settings of the person who asks do not matter here: a gateway of its own, with nothing but its defaults.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TDU_")}
    environment |= {"TDU_DATA_DIR": str(folder / "data"), "TDU_PORT": str(port), "TDU_LOG_LEVEL": "warning"}
    process = subprocess.Popen([str(Path(sys.executable).with_name("tdu")), "serve"], env=environment)
    try:
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait_for(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{address}/healthz").raise_for_status()
        except httpx.HTTPError:
            sleep(0.2)
        else:
            return
    raise SystemExit("La passerelle n'a pas démarré. / The gateway did not start.")


def _photograph(browser: str, url: str, picture: Path, folder: Path) -> None:
    options = [
        "--headless",
        "--disable-gpu",
        "--hide-scrollbars",
        "--window-size=1280,1600",
        "--virtual-time-budget=10000",
    ]
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    # Chromium refuses its own sandbox to root; the page is ours, on the loopback address.
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [
        browser,
        *options,
        *quiet,
        *root,
        f"--user-data-dir={folder / 'browser'}",
        f"--screenshot={picture}",
        url,
    ]
    subprocess.run(command, capture_output=True, check=True, timeout=SHOT_SECONDS)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
