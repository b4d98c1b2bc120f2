"""The recipes that travel inside: files of settings, by name."""

from __future__ import annotations

from pathlib import Path

from reasonkit.errors import RefusedError, UnknownNameError


def recipes() -> dict[str, Path]:
    """``COMMAND/NAME`` → its file."""
    package = Path(__file__).parent.parent
    folder = package / "recipes" / "files"
    if not folder.is_dir():
        folder = package.parent / "recipes"
    return {str(p.relative_to(folder).with_suffix("")): p for p in sorted(folder.glob("*/*.yaml"))}


def recipe(name: str, command: str = "") -> Path:
    """The file of a recipe.

    Args:
        command: of which it is; then its name alone is enough.

    Raises:
        UnknownNameError: there is none of the name.
    """
    known = recipes()
    if command:
        known = {at: path for at, path in known.items() if at.startswith(f"{command}/")}
        known |= {at.partition("/")[2]: path for at, path in known.items()}
    if name not in known:
        raise UnknownNameError("recipe", name, known)
    return known[name]


def settings_file(given: Path, command: str) -> Path:
    """The file that ``--config`` names: one that is there, or a recipe of the command.

    Raises:
        RefusedError: it is neither.
    """
    if given.exists():
        return given
    if given.suffix in (".yaml", ".yml"):
        raise RefusedError(f"{given}: no such file; `reasonkit recipes ls` names the ones inside")
    return recipe(str(given), command)
