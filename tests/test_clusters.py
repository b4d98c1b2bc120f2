"""What is printed for a cluster is a script or manifest that its own checkers take."""

from __future__ import annotations

import itertools
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from reasonkit import clusters
from reasonkit.generation.vllm.server import WORKER

GRPO = ("grpo", "--task", "arithmetic:digits=1", "--run-dir", "/shared/it's mine")
SERVED = (*GRPO, "--model", "it's/one")
DISTILL = ("distill", "--teacher", "qwen3-8b", "--run-dir", "/shared/mine")
VOTE = ("vote", "--model", "qwen3-8b", "--run-dir", "/shared/mine")
LAYOUTS = [
    (("--nodes", nodes, "--gpus", gpus, "--servers", servers, "--line", "module load 'x'"), command)
    for nodes, gpus, servers, command in itertools.product(
        (1, 2), (0, 8), (0, 2), (GRPO, SERVED, DISTILL, VOTE)
    )
    if not (nodes > 1 and command is VOTE) and not (servers and command is GRPO)
]
KUBERNETES = ("launch", "kubernetes", "--image", "mine:1", "--volume", "disk:/shared")


def require_script(text: str, path: Path) -> None:
    path.write_text(text)
    checker = Path(sys.executable).with_name("shellcheck")
    for checked in (["bash", "-n"], [checker, "--shell=bash"]):
        ended = subprocess.run([*checked, path], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize(("flags", "command"), LAYOUTS)
def test_a_script_for_slurm_has_no_fault(
    reasonkit: Callable, tmp_path: Path, flags: tuple, command: tuple
) -> None:
    script = reasonkit("launch", "slurm", "--time", "4:00:00", *flags, *command).out
    require_script(script, tmp_path / "job.sh")


@pytest.mark.parametrize(("flags", "command"), LAYOUTS)
def test_a_manifest_for_kubernetes_has_no_fault(
    reasonkit: Callable, tmp_path: Path, flags: tuple, command: tuple
) -> None:
    # The environment that vLLM is tested in has no such packages.
    import kubernetes_validate

    documents = list(yaml.safe_load_all(reasonkit(*KUBERNETES, *flags, "--", *command).out))
    assert [document["kind"] for document in documents] == ["Service", "Job"]
    for document in documents:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    pod = documents[1]["spec"]["template"]["spec"]["containers"][0]
    require_script(pod["args"][0], tmp_path / "pod.sh")


SRUN = """#!/bin/bash
until [[ "$1" != --* ]]; do shift; done
"$@"
"""
SEEN = """#!/bin/bash
printf '%s\\n' "$@" >>seen
exit "${CODE:-0}"
"""


def test_what_was_preempted_is_requeued_and_goes_on(reasonkit: Callable, tmp_path: Path) -> None:
    """Of SLURM only what its commands are called with is looked at here."""
    for name, text in (("srun", SRUN), ("reasonkit", SEEN), ("scontrol", SEEN)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    script = reasonkit("launch", "slurm", "grpo", "--run-dir", "my run", "--steps", "3").out
    found = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7"}

    def submitted(code: int) -> list[str]:
        ended = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env={**found, "CODE": str(code)}, check=False
        )
        assert ended.returncode == code
        seen = (tmp_path / "seen").read_text().splitlines()
        (tmp_path / "seen").unlink()
        return seen

    started = ["grpo", "--run-dir", "my run", "--steps", "3"]
    assert submitted(75) == [*started, "requeue", "7"]
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run/run.json").touch()
    assert submitted(1) == ["grpo", "--run-dir", "my run", "--resume"]


VLLM = """#!/bin/bash
echo "$VLLM_SERVER_DEV_MODE $*" >>served
exec python3 -c '
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
' "${@:$#}"
"""


def test_a_policy_has_servers_that_take_weights(
    reasonkit: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is looked at here is what commands are called with; servers are tested with vLLM."""
    with socket.socket() as free:
        free.bind(("", 0))
        monkeypatch.setattr(clusters, "PORT", free.getsockname()[1])
    for name, text in (("srun", SRUN), ("reasonkit", SEEN), ("vllm", VLLM)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    flags = ("--gpus", 1, "--servers", 1)
    script = reasonkit("launch", "slurm", *flags, "grpo", "--model", "my/own", "--run-dir", "a run")
    subprocess.run(
        ["bash", "-c", script.out],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
    )
    seen = (tmp_path / "seen").read_text().splitlines()
    assert seen == [
        "grpo",
        "--model",
        "my/own",
        "--run-dir",
        "a run",
        "--vllm-server",
        "a run.servers",
    ]
    served = (tmp_path / "served").read_text()
    assert served.startswith("1 serve my/own ") and f"--worker-extension-cls {WORKER}" in served
    assert (tmp_path / "a run.servers").read_text().endswith(f":{clusters.PORT}/v1\n")


@pytest.mark.parametrize("folder", ["a" * 39 + " long name", "абв", "My run (2)"])
def test_a_job_has_a_name_that_kubernetes_takes(reasonkit: Callable, folder: str) -> None:
    ended = reasonkit(*KUBERNETES, "--", "grpo", "--run-dir", f"/shared/{folder}")
    for document in yaml.safe_load_all(ended.out):
        name = document["metadata"]["name"]
        assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name) and len(name) < 64


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("slurm", "grpo", "--nope"), "unknown flag --nope"),
        (("slurm", "grpo", "--steps", 0, "--run-dir", "x"), "steps: 0 is below 1"),
        (("slurm", "grpo"), "grpo needs a --run-dir"),
        (("slurm", "grpo", "--dry-run", "--run-dir", "x"), "leave out --dry-run"),
        (("slurm", "grpo", "--model", "abcus", "--run-dir", "x"), "did you mean abacus"),
        (("slurm", "grpo", "--task", "arithmtic", "--run-dir", "x"), "did you mean arithmetic"),
        (("slurm", "grpo", "--reward", "anser", "--run-dir", "x"), "did you mean answer"),
        (
            ("slurm", "--servers", 1, "distill", "--traces", "x.jsonl", "--run-dir", "x"),
            "leave out --servers",
        ),
        (("slurm", "grpo", "--resume"), "leave out --resume"),
        (("slurm", "chat"), "unknown command 'chat'"),
        (("slurm", "--nodes", 2, "vote", "--run-dir", "x"), "vote runs in one process"),
        (("slurm", "--servers", 1, "sft-rl", "--run-dir", "x"), "sft-rl asks no server"),
        (("slurm", "--servers", 1, "grpo", "--run-dir", "x"), "vLLM can't serve abacus"),
        (
            ("slurm", "--servers", 1, *SERVED, "--vllm-server", "http://x:1"),
            "--vllm-server http://x:1 has servers",
        ),
        (("slurm", "--servers", 1, "vote", "--run-dir", "x"), "vLLM can't serve abacus"),
        ((*KUBERNETES[1:], "grpo", "--run-dir", "/tmp/x"), "isn't below /shared"),
    ],
)
def test_what_could_not_run_is_refused_in_one_line(
    reasonkit: Callable, argv: tuple, line: str
) -> None:
    ended = reasonkit("launch", *argv)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("error: ") and line in ended.err
