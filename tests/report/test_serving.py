"""`reasonkit report RUN --serve`: the page of this moment, for this machine alone."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from reasonkit import runs
from reasonkit.report import serving


@pytest.fixture
def run(tmp_path: Path) -> runs.Run:
    return runs.create("grpo", "abacus", "arithmetic", {"steps": 3}, tmp_path / "run", ["x"])


@pytest.fixture
def url(run: runs.Run) -> Iterator[str]:
    with serving.server(run) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield serving.address(server)
        server.shutdown()
        thread.join()


def got(url: str, **headers: str) -> str:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def test_the_page_that_is_served_is_that_of_this_moment(url: str, run: runs.Run) -> None:
    assert "running" in got(url)
    run.mark("failed")
    assert "failed" in got(url)


def test_the_state_changes_with_the_records_of_the_run_and_of_runs_inside(
    url: str, run: runs.Run
) -> None:
    seen = {got(f"{url}state")}
    assert got(f"{url}state") in seen
    run.append_metrics({"step": 1})
    seen.add(got(f"{url}state"))
    (run.path / "parts/base").mkdir(parents=True)
    (run.path / "parts/base/run.json").write_text("{}")
    seen.add(got(f"{url}state"))
    assert len(seen) == 3


def test_a_page_that_names_another_host_is_told_nothing(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="403"):
        got(url, Host="example.org:80")


def test_nothing_but_the_page_is_served(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        got(f"{url}config.yaml")


def test_only_the_loopback_interface_is_listened_on(run: runs.Run) -> None:
    with serving.server(run) as server:
        assert server.server_address[0] == "127.0.0.1"
