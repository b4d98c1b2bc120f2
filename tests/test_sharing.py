"""`reasonkit push`: what would go is told, and goes, to a hub that listens on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonkit import sharing
from reasonkit.errors import RefusedError
from reasonkit.report.tables import share


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's HTTP API as an upload needs; files land in a folder."""

    def log_message(self, *_: Any) -> None: ...

    def _answer(self, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self) -> None:
        self._answer({"name": "me", "id": "me/sums", "sha": "0" * 40, "siblings": []})

    def do_PUT(self) -> None:
        content, server = self._body(), self.server
        server.blobs[hashlib.sha256(content).hexdigest()] = content  # type: ignore[attr-defined]
        self._answer({})

    def do_POST(self) -> None:
        body, server = self._body(), self.server
        url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
        if self.path.endswith("/repos/create"):
            server.created.append(json.loads(body))  # type: ignore[attr-defined]
            self._answer({"url": f"{url}/me/sums"})
        elif "/preupload/" in self.path:
            files = [
                {
                    "path": file["path"],
                    "shouldIgnore": False,
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                }
                for file in json.loads(body)["files"]
            ]
            self._answer({"files": files})
        elif self.path.endswith("/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{url}/blobs/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            self._answer({"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    content = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    content = server.blobs[value["oid"]]  # type: ignore[attr-defined]
                else:
                    continue
                target = server.folder / value["path"]  # type: ignore[attr-defined]
                target.write_bytes(content)
            self._answer({"commitUrl": f"{url}/me/sums/commit/1", "commitOid": "1" * 40})
        else:
            self._answer({})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.folder, server.blobs, server.created = tmp_path, {}, []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        import huggingface_hub.constants

        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
        yield server
        server.shutdown()


@pytest.fixture
def trained(made: Callable) -> Path:
    """A run that measured the untrained model with wordings too."""
    return Path(
        made(
            "grpo", "--steps", 1, "--group-size", 2, "--prompts-per-step", 2, "--test-size", 8,
            "--validation-size", 2, "--max-completion-tokens", 24, "--device", "cpu",
        )
    )  # fmt: skip


def test_a_look_tells_files_and_card_and_sends_nothing(
    reasonkit: Callable, trained: Path, hub: ThreadingHTTPServer
) -> None:
    looked = reasonkit("push", trained, "me/sums")
    assert looked.code == 0, looked.err
    for said in ("would go to me/sums", "model.safetensors", "license: mit", "reasonkit grpo"):
        assert said in looked.out
    assert "--yes" in looked.err
    assert hub.created == []  # type: ignore[attr-defined]


def test_what_is_pushed_is_the_model_with_a_card_of_what_was_measured(
    reasonkit: Callable, trained: Path, hub: ThreadingHTTPServer, tmp_path: Path
) -> None:
    pushed = reasonkit("push", trained, "me/sums", "--private", "--yes")
    assert pushed.code == 0, pushed.err
    assert hub.created[0]["name"] == "sums"  # type: ignore[attr-defined]
    assert {p.name for p in tmp_path.iterdir()} == {
        p.name for p in (trained / "final").iterdir() if p.name != "manifest.json"
    }
    weights = "model.safetensors"
    assert (tmp_path / weights).read_bytes() == (trained / "final" / weights).read_bytes()
    head, body = (tmp_path / "README.md").read_text().split("---\n")[1:3]
    assert yaml.safe_load(head)["license"] == "mit"
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["verdict"] in body
    assert share(summary["after"]) in body


def test_a_hub_that_does_not_take_it_is_one_line(
    reasonkit: Callable, trained: Path, hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hub, "do_POST", lambda self: self.send_error(403, "not yours"))
    refused = reasonkit("push", trained, "you/sums", "--yes")
    assert refused.code == 1
    assert "the hub didn't take it" in refused.err


def test_what_cannot_be_pushed_is_refused(trained: Path, tmp_path: Path) -> None:
    for path, repo, reason in (
        (trained, "sums", "OWNER/NAME"),
        (tmp_path, "me/sums", "no run|isn't"),
    ):
        with pytest.raises(RefusedError, match=reason):
            sharing.pack(path, repo)
