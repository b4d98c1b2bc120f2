"""Under which system prompt a student learns what others have said."""

from __future__ import annotations

from reasonkit.traces.lessons import _under
from reasonkit.types import Example


def asked(system: str | None) -> Example:
    said = [{"role": "system", "content": system}] if system else []
    return Example("1", "t", (*said, {"role": "user", "content": "What is 2+3?"}), "5")


def prompts(system_prompt: str, *own: str | None) -> list[str | None]:
    examples = _under(system_prompt, [asked(system) for system in own])
    return [e.messages[0]["content"] if len(e.messages) > 1 else None for e in examples]


def test_the_teacher_s_system_prompt_makes_way_for_the_student_s() -> None:
    assert prompts("Think.", "Be a teacher.", "Be a teacher.") == ["Think.", "Think."]
    assert prompts("", "Be a teacher.") == [None]
    assert prompts("Think.", None) == ["Think."]


def test_several_system_prompts_are_part_of_what_was_asked() -> None:
    assert prompts("Think.", "In French.", "In German.") == ["In French.", "In German."]
    assert prompts("Think.", "In French.", None) == ["In French.", "Think."]
