"""``reasonkit recipes``: lists, shows and copies the settings that travel inside."""

from __future__ import annotations

from pathlib import Path

import typer

from reasonkit import completing, console
from reasonkit.errors import RefusedError

app = typer.Typer(no_args_is_help=True, help="Ready-made settings that travel inside.")

RECIPE = typer.Argument(autocompletion=completing.values("recipe"))
"""The name of a recipe."""


@app.command("ls")
def list_recipes() -> None:
    """Lists them."""
    console.show_table("recipes", ("name", "what it does"), completing.recipes())


@app.command("show")
def show_recipe(name: str = RECIPE) -> None:
    """Prints one."""
    from reasonkit.config import shipped

    console.write(shipped.recipe(name).read_text(encoding="utf-8").rstrip("\n"))


@app.command("cp")
def copy_recipe(name: str = RECIPE, target: Path | None = typer.Argument(None)) -> None:
    """Copies one to a file, to be changed."""
    from reasonkit.config import shipped

    source = shipped.recipe(name)
    target = target or Path(source.name)
    if target.is_dir():
        target = target / source.name
    if target.exists():
        raise RefusedError(f"{target} exists: name another file")
    try:
        target.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise RefusedError(f"{target}: {error.strerror}") from error
    console.write(str(target))
