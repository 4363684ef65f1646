"""Finds the Chromium that the browser tests drive, and gets one where there is none.

One that is installed comes first; then Playwright's own download, where it can be reached; then Debian's package, for
root. Run ``python tests/find_browser.py --install``; without a browser it says which tests are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_DOWNLOAD_SECONDS = 300


def find_browser() -> Path | None:
    """The executable of an installed Chromium (FLOWBOOK_TEST_BROWSER names one), or None."""
    named = os.environ.get("FLOWBOOK_TEST_BROWSER")
    candidates = [named] if named else [*filter(None, map(shutil.which, _NAMES)), _playwrights_own()]
    return next((Path(path) for path in candidates if path and Path(path).exists()), None)


def install_browser() -> Path | None:
    """Get a Chromium in one of the ways that this machine has; None if there is none."""
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        ways += [["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]]
    for command in ways:
        print(f"Getting a browser: {' '.join(command)}", flush=True)
        try:
            subprocess.run(command, stdout=subprocess.DEVNULL, timeout=_DOWNLOAD_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            print(f"  gave up after {_DOWNLOAD_SECONDS} s")
        if (found := find_browser()) is not None:
            return found
    return None


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def main() -> None:
    """Say which browser there is, getting one first if asked to."""
    found = find_browser() or (install_browser() if "--install" in sys.argv else None)
    if found is not None:
        print(f"Browser tests use {found}.")
        return
    print(
        "\n!!! No Chromium, and none could be installed: ALL TESTS IN tests/browser ARE LEFT OUT.\n"
        "!!! Install Chromium, or set FLOWBOOK_TEST_BROWSER to its path.\n",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
