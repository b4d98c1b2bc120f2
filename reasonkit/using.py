"""The commands that use what a run has made: talk to it, share it, take it elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from reasonkit import console
from reasonkit.config import Device, DType, EngineName, VoteConfig
from reasonkit.errors import RefusedError
from reasonkit.serving import ServingLimits

if TYPE_CHECKING:
    from reasonkit.serving.offers import Menu

SERVED_BY = ("fastapi", "uvicorn", "prometheus_client")
"""What only a server needs."""


def chat(
    model: str = typer.Argument(help="A run, or a model as --model of a recipe takes it."),
    system: str | None = typer.Option(None, help="System prompt. (default: the model's own)"),
    thoughts: bool | None = typer.Option(
        None, "--thoughts/--no-thoughts", help="Show them. (default: dimmed, and not in a pipe)"
    ),
    vote: int = typer.Option(1, help="Answer by the most frequent of so many samples.", min=1),
    temperature: float = typer.Option(0.0, help="Of what it says; 0 is greedy.", min=0.0, max=5.0),
    max_completion_tokens: int | None = typer.Option(
        None, help="An answer is cut off here. (default: by model)", min=2
    ),
    seed: int = typer.Option(0, help="Of what is drawn.", min=0),
    engine: EngineName = typer.Option(EngineName.auto, help="What samples."),
    device: Device = typer.Option(Device.auto, help="Where to run."),
) -> None:
    """Talks with a model; questions that are piped in, one a line, get plain answers."""
    console.note(f"chat with {model}")
    with console.doing("loading libraries"):
        from reasonkit import chatting

        config = VoteConfig(
            model=model,
            engine=engine,
            device=device,
            max_completion_tokens=max_completion_tokens,
            seed=seed,
        )
        made = chatting.open_chat(config, system, temperature)
    made.votes = vote
    piped = chatting.is_piped()
    made.thoughts = not piped if thoughts is None else thoughts
    if piped:
        chatting.answer_lines(made, sys.stdin)
    else:
        chatting.converse(made)


def serve(
    model: str = typer.Argument("abacus", help="A run, or a model as --model of a recipe has it."),
    port: int = typer.Option(8000, help="0 is any that is free.", min=0, max=65535),
    host: str = typer.Option("127.0.0.1", help="Another than this needs --require-key."),
    require_key: Path | None = typer.Option(None, help="File with the key that clients bring."),
    name: str | None = typer.Option(None, help="Of the model. (default: its last part)"),
    system: str | None = typer.Option(
        None, help="Put before chats that have no system prompt. (default: the model's own)"
    ),
    verifier: str | None = typer.Option(None, help="What best-of-n and the like rank by."),
    policy: str | None = typer.Option(
        None, help="A run of vote --strategy auto, or its policy: offers NAME:auto."
    ),
    route: bool = typer.Option(
        False, "--route", help="NAME itself answers by --policy; NAME:plain is the model alone."
    ),
    temperature: float | None = typer.Option(
        None, help="Where a request names none. (default: by model)", min=0.0, max=5.0
    ),
    max_prompt_tokens: int = typer.Option(1024, help="Longer ones are refused.", min=1),
    max_completion_tokens: int | None = typer.Option(
        None, help="A completion is cut off here. (default: by model)", min=2
    ),
    n: int = typer.Option(ServingLimits.samples, help="Samples of a request, at most.", min=1),
    concurrency: int = typer.Option(
        ServingLimits.concurrency, help="Requests answered at once.", min=1
    ),
    queue: int = typer.Option(ServingLimits.queue, help="Requests that may wait.", min=0),
    max_body: int = typer.Option(ServingLimits.body, help="Bytes of a request.", min=1024),
    grace: int = typer.Option(ServingLimits.grace, help="Seconds to end in, once stopped.", min=0),
    endpoint: str | None = typer.Option(None, help="URL of a server in place of a model here."),
    api_key_file: Path | None = typer.Option(
        None, help="File with that server's key. (default: OPENAI_API_KEY)"
    ),
    engine: EngineName = typer.Option(EngineName.auto, help="What samples."),
    device: Device = typer.Option(Device.auto, help="Where to run."),
    dtype: DType = typer.Option(DType.auto, help="Format of the forward pass."),
) -> None:
    """Serves a model, and votes by it, to whatever speaks OpenAI's API."""
    lacking = [name for name in SERVED_BY if importlib.util.find_spec(name) is None]
    if lacking:
        raise RefusedError(f"serve needs {', '.join(lacking)}: pip install 'reasonkit[serve]'")
    with console.results_alone(), console.doing("loading libraries"):
        from reasonkit.answering import open_respondent
        from reasonkit.servers import read_key
        from reasonkit.serving import offers, running

        key = None if require_key is None else read_key(require_key)
        running.require_guarded(host, key)
        if route:
            offers.require_routing(policy)
        listening = running.listen(host, port)
        config = VoteConfig(
            model=model,
            engine=engine,
            device=device,
            dtype=dtype,
            verifier=verifier,
            policy=policy,
            temperature=temperature,
            max_prompt_tokens=max_prompt_tokens,
            max_completion_tokens=max_completion_tokens,
            endpoint=endpoint,
            api_key_file=None if api_key_file is None else str(api_key_file),
            concurrency=concurrency,
            baselines=False,
        )
        respondent = open_respondent(config, system)
    served = name or Path(respondent.source.config.model).name
    limits = ServingLimits(concurrency, queue, n, max_body, grace=grace)
    shown, number = f"[{host}]" if ":" in host else host, listening.getsockname()[1]

    def ready(menu: Menu) -> None:
        console.note(f"models: {', '.join(offer.id for offer in menu)}")
        console.note("Ctrl-C ends it")
        console.write(f"http://{shown}:{number}/v1")

    running.run(respondent, served, route, listening, limits, key, ready)


def push(
    run: Path = typer.Argument(help="A finished run."),
    repo: str = typer.Argument(help="OWNER/NAME on the Hugging Face hub; it is made if need be."),
    private: bool = typer.Option(False, help="Make it a private one."),
    yes: bool = typer.Option(False, "--yes", help="Upload; without it only tell what would go."),
) -> None:
    """Puts a run's model on the hub, with a card of what was measured."""
    from reasonkit import sharing

    parcel = sharing.pack(run, repo)
    console.show_table(
        f"{'goes' if yes else 'would go'} to {repo}", ("file", "bytes"), parcel.listing(), True
    )
    console.say(parcel.card)
    if not yes:
        console.note("nothing was sent: --yes sends it")
        return
    with console.doing(f"uploading to {repo}"):
        address = sharing.send(parcel, private)
    console.write(address)


def export(
    model: str = typer.Argument(help="A run, or a model as --model of a recipe takes it."),
    gguf: bool = typer.Option(False, "--gguf", help="As one GGUF file, for llama.cpp."),
    out: Path | None = typer.Option(None, help="The file. (default: MODEL.gguf, here)"),
) -> None:
    """Writes a model in another program's format."""
    if not gguf:
        raise RefusedError("say what to write: --gguf")
    target = out or Path(f"{Path(model).name}.gguf")
    if target.exists():
        raise RefusedError(f"{target} exists: name another with --out")
    with console.results_alone(), console.doing(f"loading {model}"):
        from reasonkit.models.gguf_writing import write
        from reasonkit.models.loading import load_model, load_tokenizer
        from reasonkit.models.resolving import resolve

        found = resolve(model)
        tokenizer, _ = load_tokenizer(found)
        written = load_model(found, "cpu", "auto")
        write(written, tokenizer, target, Path(model).name)
    console.write(str(target))
