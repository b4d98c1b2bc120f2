"""The commands that use what a run has made: talk to it, share it, take it elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from reasonkit import console
from reasonkit.config import CommonConfig, Device, EngineName
from reasonkit.errors import RefusedError, StoppedError


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

        config = CommonConfig(
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
    if not piped:
        chatting.converse(made)
        return
    try:
        chatting.answer_lines(made, sys.stdin)
    except KeyboardInterrupt as stop:
        raise StoppedError("interrupted") from stop


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
