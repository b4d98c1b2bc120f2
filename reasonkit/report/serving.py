"""The page of a run over HTTP, drawn anew whenever the run's files have changed.

Bound to the loopback interface alone, and deaf to requests that name any other host, so that no
other machine and no page of somebody else's reads it. Leaves out everything but the page.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from reasonkit.report import page
from reasonkit.runs import Run

LOOPBACK = "127.0.0.1"
NAMES = (LOOPBACK, "localhost")
STATE = "/state"
WATCHED = {".json", ".jsonl", ".yaml"}

POLL = """<script>
let drawn;
setInterval(async () => {
  try {
    const now = await (await fetch("/state")).text();
    if (drawn && drawn !== now) location.reload();
    drawn = now;
  } catch { }
}, 2000);
</script>
"""
"""Asks every two seconds if anything has changed; a browser keeps its place when it reloads."""


def server(run: Run, port: int = 0) -> ThreadingHTTPServer:
    """A server of the run's page, ready for ``serve_forever``.

    Args:
        port: 0 takes any that is free.

    Raises:
        OSError: the port is taken.
    """

    class Pages(_Pages):
        of = run

    return ThreadingHTTPServer((LOOPBACK, port), Pages)


def address(serving: ThreadingHTTPServer) -> str:
    """Where the page is."""
    return f"http://{LOOPBACK}:{serving.server_port}/"


def state(path: Path) -> str:
    """Changes whenever a record below ``path`` does, those of runs inside this run included."""
    digest = hashlib.sha256()
    for folder, _, names in sorted(os.walk(path)):
        for file in (Path(folder, name) for name in sorted(names) if not name.startswith(".")):
            # It may be gone by now.
            with suppress(FileNotFoundError):
                if file.suffix in WATCHED:
                    found = file.stat()
                    digest.update(f"{file} {found.st_mtime_ns} {found.st_size}\n".encode())
    return digest.hexdigest()


class _Pages(BaseHTTPRequestHandler):
    of: Run

    def do_GET(self) -> None:
        """Answers with the page or its state."""
        if self.headers.get("Host", "").rpartition(":")[0] not in NAMES:
            self.send_error(403)
        elif self.path == STATE:
            self._send("text/plain", state(self.of.path))
        elif self.path == "/":
            text = page.render(self.of)
            self._send("text/html", text.replace("</body>", f"{POLL}</body>"))
        else:
            self.send_error(404)

    def _send(self, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(200)
        headers = {"Content-Type": f"{kind}; charset=utf-8", "Cache-Control": "no-store"}
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: a request every two seconds is no news."""
