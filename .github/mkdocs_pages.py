"""What mkdocs is told beside its settings: the menu, the reference, and the pages of the recipes.

The menu is the list of `reasonkit.manual.topics`. Pages of recipes lie beside their settings, so
links to them are turned.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from reasonkit import manual

CSS = "td:first-child code { white-space: nowrap; }"
RECIPES = Path(__file__).parent.parent / "recipes"


def _place(topic: manual.Topic) -> str:
    """Where the site has a page."""
    if "recipes/" in topic.link:
        return f"recipes/{topic.name}.md"
    return topic.link or f"{topic.name}.md"


def on_config(config: Any) -> Any:
    """Makes the menu."""
    pages = [{topic.name: _place(topic)} for topic in manual.topics().values()]
    config.nav = [{"Home": "README.md"}, *pages]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds what isn't in the folder of pages."""
    for topic in manual.topics().values():
        if files.get_file_from_path(_place(topic)) is None:
            files.append(File.generated(config, _place(topic), content=topic.text()))
    files.append(File.generated(config, "extra.css", content=CSS))
    for picture in RECIPES.glob("*/*.svg"):
        place = f"recipes/{picture.name}"
        files.append(File.generated(config, place, abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns links to recipes, and takes those to code away."""
    up = "../" * page.file.src_uri.count("/")
    markdown = re.sub(
        r"\]\(\.\./\.\./recipes/([\w-]+)/README\.md", rf"]({up}recipes/\1.md", markdown
    )
    markdown = re.sub(r"\]\(\.\./\.\./recipes/([\w-]+\.md)", rf"]({up}recipes/\1", markdown)
    markdown = re.sub(r"\]\(([\w-]+)/README\.md", r"](\1.md", markdown)
    markdown = re.sub(r"\]\(\.\./\.\./recipes/[\w-]+/(\w+\.svg)", rf"]({up}recipes/\1", markdown)
    return re.sub(r"\[([^\]]+)\]\(\.\./\.\./[\w/.-]+\.py\)", r"\1", markdown)
