"""``reasonkit launch``: prints what runs a command on the nodes of a cluster, and submits nothing.

The command is checked as if it were to run here. What is printed starts it as often as it was
pre-empted, and goes on with its run. Made from the templates beside this file. Leaves out what only
the cluster knows, such as accounts and modules: that is a ``--line``.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import typer

from reasonkit import console
from reasonkit.commands import RECIPES, Commands, asked, is_shared
from reasonkit.errors import PreemptedError, RefusedError, StoppedError, UnknownNameError

PORT = 8000
"""Of vLLM's servers."""

app = typer.Typer(
    no_args_is_help=True,
    help="Prints a script or manifest that runs a command on many nodes.",
)

COMMAND = typer.Argument(
    metavar="COMMAND…", help="As it would be run here, with a --run-dir that all nodes see."
)
NODES = typer.Option(1, help="That train.", min=1)
GPUS = typer.Option(8, help="Of a node, and so processes; 0 is one process on CPUs.", min=0)
SERVERS = typer.Option(
    0, help="Nodes beside them, on which vLLM serves whom the command would ask.", min=0
)
LINES = typer.Option(
    None, "--line", help="A line put before the command, such as 'module load cuda'; repeatable."
)
AS_IT_IS = {"allow_interspersed_args": False}
"""What follows the command's name is the command's."""


@app.command("slurm", context_settings=AS_IT_IS)
def slurm(
    command: list[str] = COMMAND,
    nodes: int = NODES,
    gpus: int = GPUS,
    servers: int = SERVERS,
    time: str | None = typer.Option(
        None, help="As of sbatch; a run that needs more is requeued. (default: the partition's)"
    ),
    lines: list[str] | None = LINES,
) -> None:
    """Prints a script for sbatch; '#SBATCH --partition=gpu' is a --line."""
    shown = _settled(command, nodes, gpus, servers) | {"time": time, "lines": lines or []}
    console.write(_filled("slurm.sh", shown))


@app.command("kubernetes", context_settings=AS_IT_IS)
def kubernetes(
    command: list[str] = COMMAND,
    image: str = typer.Option(help="That has reasonkit, and vLLM where it is to serve."),
    volume: str = typer.Option(
        metavar="CLAIM:PATH", help="A persistent volume claim that all may write, and its place."
    ),
    nodes: int = NODES,
    gpus: int = GPUS,
    servers: int = SERVERS,
    lines: list[str] | None = LINES,
) -> None:
    """Prints a manifest for kubectl: an indexed Job and its headless Service."""
    claim, _, mount = volume.partition(":")
    if not claim or not mount.startswith("/"):
        raise RefusedError(f"--volume {volume}: expected CLAIM:/PATH")
    shown = _settled(command, nodes, gpus, servers, agent=True) | {"lines": lines or []}
    if not Path(shown["run_dir"]).is_relative_to(mount):
        raise RefusedError(f"--run-dir {shown['run_dir']} isn't below {mount}, which all pods see")
    script = _filled("pod.sh", shown)
    codes = {"stopped": StoppedError.exit_code, "refused": RefusedError.exit_code}
    fields = shown | codes | {"script": script, "image": image, "claim": claim, "mount": mount}
    console.write(_filled("kubernetes.yaml", fields))


def _settled(
    command: list[str], nodes: int, gpus: int, servers: int, agent: bool = False
) -> dict[str, Any]:
    """What all templates show.

    Args:
        agent: whether one process of a node is to start the others.

    Raises:
        RefusedError: the command can't be run so.
    """
    name, *flags = command
    if name not in RECIPES:
        raise UnknownNameError("command", name, RECIPES)
    made = Commands().get_command(None, name)
    context = made.make_context(name, [*flags])
    if context.params["resume"] or context.params.get("processes", 1) > 1:
        raise RefusedError(f"leave out --resume and --processes of {name}: both are seen to")
    if context.params["dry_run"] or context.params.get("on") is not None:
        raise RefusedError(f"leave out --dry-run and --on of {name}: nothing would be run")
    config, invocation = asked(name, context, context.params)
    if invocation.run_dir is None:
        raise RefusedError(f"{name} needs a --run-dir: a folder that all nodes see")
    if nodes > 1 and not is_shared(name):
        raise RefusedError(f"reasonkit {name} runs in one process: leave out --nodes {nodes}")
    _require_known(config)
    slug = re.sub(r"[^a-z0-9]+", "-", invocation.run_dir.name.lower()).strip("-")
    processes = max(1, gpus) if is_shared(name) else 1
    go_on = ["reasonkit", name, "--run-dir", str(invocation.run_dir), "--resume"]
    first = ["reasonkit", name, *flags]
    listed = f"{invocation.run_dir}.servers"
    served = _served(name, config, servers) if servers else None
    started = ["--processes", str(processes)] if agent and is_shared(name) else []
    shown = {
        "called": " ".join(shlex.join(["reasonkit", *sys.argv[1:]]).split()),
        "name": f"reasonkit-{slug[:40]}".strip("-"),
        "nodes": nodes,
        "gpus": gpus,
        "processes": processes,
        "servers": servers,
        "served": served,
        "run_dir": str(invocation.run_dir),
        "list": listed,
        "first": [*first, *([served["flag"], listed] if served else []), *started],
        "again": [*go_on, *(["--json"] if invocation.json else []), *started],
        "preempted": PreemptedError.exit_code,
    }
    return shown | ({"serve": _filled("serve.sh", shown)} if servers else {})


def _require_known(config: Any) -> None:
    """Refuses names that nobody knows; a path needs to be there on the cluster alone."""
    from reasonkit.models import MODELS
    from reasonkit.rewards import parse
    from reasonkit.tasks import describe

    if not (config.model in MODELS or "/" in config.model or Path(config.model).exists()):
        raise UnknownNameError("model", config.model, MODELS)
    if getattr(config, "question", None) is None:
        describe(config.task)
    parse(getattr(config, "reward", None) or [], "cpu")


def _served(command: str, config: Any, servers: int) -> dict[str, Any]:
    """Whom a command asks: its name there, how it is started, and how many are waited for.

    Raises:
        RefusedError: it asks nobody, or vLLM can't serve it.
    """
    from reasonkit.config import GrpoConfig, ServerConfig
    from reasonkit.models import DEFAULT_TEACHER, entry_for

    samples = isinstance(config, GrpoConfig)
    if not samples and not isinstance(config, ServerConfig):
        raise RefusedError(
            f"{command} asks no server: leave out --servers; "
            "--engine vllm samples in its own processes"
        )
    flag = "--vllm-server" if samples else "--endpoint"
    if given := config.vllm_server if samples else config.endpoint:
        raise RefusedError(f"{flag} {given} has servers: leave out --servers")
    if getattr(config, "traces", None) or getattr(config, "objective", "") == "on-policy":
        raise RefusedError("no teacher writes traces here: leave out --servers")
    name = config.model
    if command == "distill":
        name = getattr(config, "teacher", None) or DEFAULT_TEACHER
    final = Path(name) / "final"
    source = str(final) if final.is_dir() else entry_for(name).source
    if source.startswith(("packaged", "gguf:")):
        raise RefusedError(f"vLLM can't serve {name}: name a model of the hub or a folder")
    return {
        "name": name,
        "start": _start(samples).replace("MODEL", shlex.quote(source)),
        "port": PORT,
        "flag": flag,
        # A policy's rollouts are dealt to the servers that there are when it begins.
        "awaited": servers if samples else 1,
    }


def _start(takes_weights: bool) -> str:
    if not takes_weights:
        return "vllm serve MODEL"
    from reasonkit.generation.vllm.server import START

    return START


def _filled(template: str, fields: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("reasonkit.clusters", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"sh": shlex.quote, "sh_all": shlex.join}
    return environment.get_template(f"{template}.j2").render(fields)
