"""The documentation that travels inside."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from reasonkit import console, manual
from reasonkit.commands import RECIPES, settings

TOP = Path(__file__).parent.parent


def test_every_page_is_listed_and_every_listed_page_is_there() -> None:
    listed = {topic.link for topic in manual.topics().values()}
    pages = {path.name for path in manual.FOLDER.glob("*.md")} - {"README.md"}
    recipes = {f"../../{path.relative_to(TOP)}" for path in recipe_pages()}
    assert listed == {*pages, *recipes, ""}


def recipe_pages() -> list[Path]:
    return [*(TOP / "recipes").rglob("*.md")]


def test_topics_are_listed_and_shown_as_they_are_in_a_pipe(reasonkit: Callable) -> None:
    listed = reasonkit("docs").out
    assert all(name in listed for name in manual.topics())
    page = (manual.FOLDER / "tutorial.md").read_text()
    assert reasonkit("docs", "tutorial").out == page
    assert "# `reasonkit vote`" in reasonkit("docs", "vote").out


def test_a_terminal_gets_a_page_without_markdown(monkeypatch) -> None:
    shown = Console(force_terminal=True, width=80, record=True)
    monkeypatch.setattr(console, "out", shown)
    manual.docs("tutorial")
    assert "```" not in shown.export_text()


def test_a_misspelt_topic_is_answered_with_the_near_one(reasonkit: Callable) -> None:
    told = reasonkit("docs", "tutorail")
    assert told.code == 2
    assert "did you mean tutorial" in told.err


def test_the_reference_holds_every_setting_of_every_command() -> None:
    common, *parts = manual.reference().split("\n## reasonkit ")
    assert len(parts) == len(RECIPES)
    for part in parts:
        name = part.splitlines()[0]
        flags = set(re.findall(r"^\| `(?:--)?([\w-]+)` \|", common + part, re.MULTILINE))
        fields = {field.name.replace("_", "-") for field in dataclasses.fields(settings(name))}
        assert fields <= {flag.lower() for flag in flags}


def test_links_between_pages_lead_somewhere() -> None:
    documentation = (TOP / "reasonkit" / "docs").glob("*.md")
    pages = [TOP / "README.md", *documentation, *recipe_pages()]
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
