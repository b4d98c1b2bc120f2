"""The page of a comparison, on paper and in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from reasonkit import runs
from reasonkit.report import page, terminal
from reasonkit.runs import Run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture(scope="module")
def drawn(compared: Path) -> Path:
    return page.write(runs.open_run(compared))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def browser(chromium: Browser, drawn: Path) -> Iterator[tuple[Page, list[str]]]:
    """The page in Chromium, and everything that its console said."""
    opened = chromium.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(drawn.as_uri())
    yield opened, said
    opened.close()


def shown(opened: Page) -> list[str]:
    return opened.locator("#rows tbody tr:visible td:first-child").all_inner_texts()


def test_the_page_sorts_filters_and_unfolds_without_a_word_on_the_console(
    browser: tuple[Page, list[str]],
) -> None:
    opened, said = browser
    assert len(shown(opened)) == 4
    opened.get_by_text("tokens a query", exact=True).click()
    assert shown(opened)[0] == "majority of 8"
    opened.get_by_text("tokens a query", exact=True).click()
    assert shown(opened)[0] == "abacus, asked directly"
    opened.fill("#filter", "grpo")
    assert shown(opened) == ["grpo"]
    question = opened.locator("#questions details").first
    assert not question.locator(".think").first.is_visible()
    question.locator("summary").click()
    assert question.locator(".think").first.is_visible()
    assert question.locator(".think").first.inner_text() == "<think>1+1=2 <b>&</think>"
    opened.fill("#find", "no such question")
    assert opened.locator("#questions details:visible").count() == 0
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_plots_stand_out_from_the_page(
    browser: tuple[Page, list[str]], scheme: Any
) -> None:
    opened, _ = browser
    opened.emulate_media(color_scheme=scheme)
    colours = opened.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,"
        " getComputedStyle(document.querySelector('svg')).color]"
    )
    page_colour, text, plot = (sum(map(int, re.findall(r"\d+", c)[:3])) for c in colours)
    assert abs(page_colour - text) > 400
    assert text == plot


def test_on_a_phone_nothing_but_tables_is_wider_than_the_screen(
    browser: tuple[Page, list[str]],
) -> None:
    opened, _ = browser
    opened.set_viewport_size({"width": 390, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390


def test_page_and_terminal_show_the_numbers_of_the_summary(
    compared: Path, drawn: Path, capsys: pytest.CaptureFixture
) -> None:
    summary = json.loads((compared / "summary.json").read_text())
    terminal.show(Run(compared), summary, as_json=False)
    printed, text = capsys.readouterr().out, drawn.read_text()
    for row in summary["rows"]:
        assert f"{row['accuracy']:.1%}" in text
        assert f"{row['accuracy']:.1%}" in printed
        assert f"{row['question_tokens']:,.1f}" in text
        assert f"{row['question_tokens']:,.1f}" in printed
    assert "37 queries" in text
    assert "37" in printed


def test_the_page_needs_nothing_from_outside_and_escapes_what_models_wrote(drawn: Path) -> None:
    text = drawn.read_text()
    assert not re.search(r"""(?:src|href)=["'](?!#)""", text)
    assert "url(http" not in text
    assert "1+1=2 &lt;b&gt;&amp;" in text
    assert text.count("<svg") == 4


def test_a_comparison_that_is_under_way_shows_its_parts(compared: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(compared, tmp_path / "run"))
    (run / "summary.json").unlink()
    text = page.render(runs.open_run(run))
    assert "<td>grpo</td><td>finished</td>" in text


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_can_be_read_by_all_and_fit_their_window(
    chromium: Browser, drawn: Path, made: Callable[..., Path], width: int
) -> None:
    # The environment that vLLM is tested in has no such package.
    from axe_playwright_python.sync_playwright import Axe

    trained = made("grpo", "--steps", 2, "--test-size", 20, "--no-baselines") / "report.html"
    for path in (drawn, trained):
        opened = chromium.new_page(viewport={"width": width, "height": 900})
        opened.goto(path.as_uri())
        wrong = [found["id"] for found in Axe().run(opened).response["violations"]]
        wide = opened.evaluate("document.documentElement.scrollWidth")
        opened.close()
        assert (path, wrong, wide) == (path, [], width)
