"""``reasonkit docs``: the pages that travel in the package, offline.

The list of pages in ``docs/README.md`` is the only one: topics, their order and the site's menu are
made of it. The reference is made of the settings' fields. Leaves out the README of the repository.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer

from reasonkit import console
from reasonkit.errors import UnknownNameError

FOLDER = Path(__file__).parent / "docs"
_ITEM = re.compile(r"^- (?:\[(.+)\]\((.+)\)|`(.+)`): (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Topic:
    """A page.

    Attributes:
        link: to its file, from `FOLDER`; empty of one that is made.
    """

    name: str
    link: str
    about: str

    def text(self) -> str:
        """The page, in Markdown."""
        if not self.link:
            return reference()
        path = FOLDER / self.link
        if not path.exists():
            # Beside an installed package the recipes are inside it.
            path = FOLDER.parent / "recipes/files" / self.link.partition("recipes/")[2]
        return path.read_text(encoding="utf-8")


def topics() -> dict[str, Topic]:
    """The pages by name, in their order."""
    found = _ITEM.findall((FOLDER / "README.md").read_text(encoding="utf-8"))
    return {name or made: Topic(name or made, link, about) for name, link, made, about in found}


def docs(
    topic: str | None = typer.Argument(None, help="A page by name. (default: lists them)"),
) -> None:
    """Shows a page of the documentation; in Markdown where stdout is no terminal."""
    pages = topics()
    if topic is None:
        console.show_table(
            "reasonkit docs TOPIC", ("topic", "about"), [(p.name, p.about) for p in pages.values()]
        )
        return
    if topic not in pages:
        raise UnknownNameError("topic", topic, pages)
    text = pages[topic].text()
    if not console.out.is_terminal:
        console.write(text.rstrip("\n"))
        return
    # Only this needs it, and every command starts without it sooner.
    from rich.markdown import Markdown

    console.out.print(Markdown(text))


def reference() -> str:
    """Every setting of every command that runs a recipe, as a page."""
    from reasonkit import config
    from reasonkit.commands import RECIPES, settings

    common = {field.name: field.default for field in dataclasses.fields(config.CommonConfig)}
    lines = [
        "# Every setting",
        "",
        "A flag `--some-name VALUE` is the key `some_name: VALUE` of a `--config` file; what is on "
        "or off is set by `--name` or `--no-name`. This page is made from the code.",
        "",
        "## Of every command",
        "",
        *_table(config.Invocation),
        *_table(config.CommonConfig)[2:],
    ]
    for name, about in RECIPES.items():
        lines += ["", f"## reasonkit {name}", "", about, "", *_table(settings(name), common)]
    return "\n".join(lines) + "\n"


def _table(kind: type, known: Mapping[str, Any] | None = None) -> list[str]:
    """A row for each of its fields, less those that are known and have the same default."""
    hints, known = get_type_hints(kind), known or {}
    rows = [
        _row(field, hints[field.name])
        for field in dataclasses.fields(kind)
        if field.name not in known or known[field.name] != field.default
    ]
    return ["| flag | default | what it does |", "|---|---|---|", *rows]


def _row(field: dataclasses.Field[Any], hint: Any) -> str:
    told = field.metadata
    about, _, usual = told["help"].partition("(default: ")
    name = field.name.upper() if told.get("argument") else f"--{field.name.replace('_', '-')}"
    sentences = [about.strip()]
    kind = (get_args(hint) or (hint,))[0]
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        sentences.append(f"One of {', '.join(f'`{one}`' for one in kind)}.")
    bounds = {"at least": told.get("min"), "at most": told.get("max")}
    if held := [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]:
        sentences.append(f"{', '.join(held).capitalize()}.")
    default = usual.rstrip(")") or _default(field.default)
    cells = (f"`{name}`", default, " ".join(sentences))
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"`{value}`"
