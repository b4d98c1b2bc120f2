"""The table of parts."""

from __future__ import annotations

from reasonkit.comparison.parts import BASE, COMMANDS, PARTS, STUDENT
from reasonkit.config import from_mapping


def test_every_part_has_settings_that_its_command_knows() -> None:
    for part in PARTS.values():
        for settings in (part.settings, {**part.settings, **(part.quick or {})}):
            from_mapping(COMMANDS[part.command], settings, part.name)


def test_what_a_part_needs_comes_before_it() -> None:
    names = list(PARTS)
    for part in PARTS.values():
        assert part.model in (BASE, STUDENT, *names)
        assert all(names.index(other) < names.index(part.name) for other in part.needs)


def test_no_two_rows_of_a_model_have_one_name() -> None:
    shown = [(p.model == STUDENT, s.label) for p in PARTS.values() for s in p.shown]
    assert len(shown) == len(set(shown))
