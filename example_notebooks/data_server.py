"""Serves the example's data on this machine: monthly house sales in Texas, 2000 to 2015, from two sources.

The data are those of the Real Estate Center at Texas A&M University, as the PyPI package `plotnine` ships them.
``/sales.csv`` has what was sold (city, year, month, sales, volume), ``/market.csv`` the market (median price, listings,
inventory). The second source is moody: it answers every other request with 503, so a run needs its retry.

Run ``python example_notebooks/data_server.py [PORT]`` (default 8765).
"""

from __future__ import annotations

import csv
import io
import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Thread

KEY = ("city", "year", "month")
SOURCES = {"/sales.csv": ("sales", "volume"), "/market.csv": ("median", "listings", "inventory")}


def texas_housing() -> list[dict[str, str]]:
    """The rows of the data set, found without importing the package that ships it."""
    package = find_spec("plotnine")
    if package is None or package.origin is None:
        sys.exit("The example's data come with the package plotnine: pip install 'flowbook[demo]'.")
    file = Path(package.origin).parent / "data" / "txhousing.csv"
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def columns_of(rows: list[dict[str, str]], columns: tuple[str, ...]) -> bytes:
    """Some columns of the rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*KEY, *columns], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@contextmanager
def serving(port: int = 0) -> Iterator[str]:
    """Serve in the background; gives the base URL. Port 0 takes any free one."""
    rows = texas_housing()
    files = {path: columns_of(rows, columns) for path, columns in SOURCES.items()}
    requests = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/market.csv" and next(requests) % 2 == 0:
                self.send_error(503, "Busy, try again")
                return
            body = files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/csv; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Requests are not worth a line each."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    with serving(int(sys.argv[1]) if len(sys.argv) > 1 else 8765) as url:
        print(f"Serving {url}/sales.csv and {url}/market.csv until you press Ctrl-C.", flush=True)
        with suppress(KeyboardInterrupt):
            Event().wait()
