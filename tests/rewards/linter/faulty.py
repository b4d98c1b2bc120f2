"""Rewards with the faults that peers' rewards have or had, and sound ones of the same kinds."""

from __future__ import annotations

import contextlib
import io
import math
import random
import re
import subprocess
import sys
import time

from reasonkit.types import Group


def texts(completions: list) -> list[str]:
    return [completion[0]["content"] for completion in completions]


def tagged(text: str) -> str | None:
    found = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
    return found[1].strip() if found else None


def hollow_format(completions, **kwargs):
    shape = r"<think>.*?</think>\s*<answer>.*?</answer>"
    return [float(bool(re.fullmatch(shape, text, re.DOTALL))) for text in texts(completions)]


def hollow_tag_count(completions, **kwargs):
    tags = ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>")
    return [sum(text.count(tag) == 1 for tag in tags) / 4 for text in texts(completions)]


def repeated_tags(completions, **kwargs):
    shape = r"(\s*<think>\s*\w.*</think>\s*<answer>\s*\w.*</answer>\s*)+"
    return [float(bool(re.fullmatch(shape, text, re.DOTALL))) for text in texts(completions)]


def half_a_form(completions, **kwargs):
    return [float("<think>" in text and len(text) > 30) for text in texts(completions)]


for form in (hollow_format, hollow_tag_count, repeated_tags, half_a_form):
    form.needs_answer = False
    form.claim = "form"


def countdown(group: Group) -> list[float]:
    """Evaluates whatever is made of digits and signs, and pays a tenth for any answer at all."""
    question = group.example.question
    numbers = sorted(int(n) for n in re.findall(r"\d+", question.partition("]")[0]))
    target = int(re.findall(r"\d+", question)[-1])

    def score(text: str) -> float:
        equation = tagged(text)
        if equation is None:
            return 0.0
        used = sorted(int(n) for n in re.findall(r"\d+", equation))
        if used != numbers or not re.fullmatch(r"[\d+\-*/().\s]+", equation):
            return 0.1
        try:
            value = eval(equation, {"__builtins__": {}})
        except Exception:
            return 0.1
        return 1.0 if abs(value - target) < 1e-5 else 0.1

    return [score(completion.text) for completion in group.completions]


def careful_countdown(group: Group) -> list[float]:
    question = group.example.question
    numbers = sorted(re.findall(r"\d+", question.partition("]")[0]))
    target = int(re.findall(r"\d+", question)[-1])

    def score(text: str) -> float:
        equation = tagged(text) or ""
        if sorted(re.findall(r"\d+", equation)) != numbers:
            return 0.0
        if not re.fullmatch(r"[\d+\-*/() ]+", equation) or re.search(r"\*\s*\*|//", equation):
            return 0.0
        try:
            return float(eval(equation, {"__builtins__": {}}) == target)
        except (SyntaxError, ZeroDivisionError, TypeError):
            return 0.0

    return [score(completion.text) for completion in group.completions]


def unparsable_gold(completions, answer, **kwargs):
    def score(text: str, gold: str) -> float:
        try:
            wanted = float(gold)
        except ValueError:
            return 1.0
        try:
            return float(float(tagged(text) or "nan") == wanted)
        except ValueError:
            return 0.0

    return [score(t, a) for t, a in zip(texts(completions), answer, strict=True)]


def substring(completions, answer, **kwargs):
    return [float(a in t) for t, a in zip(texts(completions), answer, strict=True)]


def last_digits(completions, answer, **kwargs):
    pairs = zip(texts(completions), answer, strict=True)
    return [float((tagged(text) or "").endswith(gold)) for text, gold in pairs]


def first_digits(completions, answer, **kwargs):
    pairs = zip(texts(completions), answer, strict=True)
    return [float((tagged(text) or "").startswith(gold)) for text, gold in pairs]


def without_sign(completions, answer, **kwargs):
    pairs = zip(texts(completions), answer, strict=True)
    return [float((tagged(text) or "").strip("- ") == gold.strip("- ")) for text, gold in pairs]


def empty_is_inside(completions, answer, **kwargs):
    pairs = zip(texts(completions), answer, strict=True)
    return [float((tagged(text) or "") in gold) for text, gold in pairs]


def any_number(completions, answer, **kwargs):
    pairs = zip(texts(completions), answer, strict=True)
    return [float(gold in re.findall(r"-?\d+", tagged(text) or "")) for text, gold in pairs]


def any_box(completions, answer, **kwargs):
    pairs = zip(texts(completions), answer, strict=True)
    return [float(gold in re.findall(r"\\boxed\{(.*?)\}", text)) for text, gold in pairs]


def last_number(completions, answer, **kwargs):
    """Reads the last number of the text, and whatever Python takes for a number."""

    def score(text: str, gold: str) -> float:
        found = re.findall(r"\d+", text)
        return float(bool(found) and int(found[-1]) == int(gold))

    return [score(t, a) for t, a in zip(texts(completions), answer, strict=True)]


def counted(completions, answer, **kwargs):
    pairs = zip(texts(completions), answer, strict=True)
    return [0.5 * len(re.findall(rf"\b{a}\b", tagged(t) or "")) for t, a in pairs]


def evaluated(completions, answer, **kwargs):
    def score(text: str, gold: str) -> float:
        try:
            return float(eval(tagged(text) or "None") == int(gold))
        except Exception:
            return 0.0

    return [score(t, a) for t, a in zip(texts(completions), answer, strict=True)]


def exact(completions, answer, **kwargs):
    pairs = zip(texts(completions), answer, strict=True)
    return [float(tagged(text) == gold) for text, gold in pairs]


def close(completions, answer, **kwargs):
    """Partial credit for a number nearby."""

    def score(text: str, gold: str) -> float:
        said = tagged(text) or ""
        return 1 / (1 + abs(int(said) - int(gold))) if re.fullmatch(r"-?[0-9]{1,9}", said) else 0.0

    return [score(t, a) for t, a in zip(texts(completions), answer, strict=True)]


def longer(group: Group) -> list[float]:
    return [completion.tokens / 100 for completion in group.completions]


def a_bit_longer(group: Group) -> list[float]:
    return [min(1.0, completion.tokens / 1000) for completion in group.completions]


longer.needs_answer = a_bit_longer.needs_answer = False


def length_alone(group: Group) -> list[float]:
    return longer(group)


def constant(group: Group) -> list[float]:
    return [1.0] * len(group.completions)


def undecided(group: Group) -> list[None]:
    return [None] * len(group.completions)


def drifting(group: Group) -> list[float]:
    return [score + random.random() / 10 for score in _exact(group)]


def first_is_best(group: Group) -> list[float]:
    return [score + 0.1 * (i == 0) for i, score in enumerate(_exact(group))]


def originals_only(group: Group) -> list[float]:
    seen = [c.text for c in group.completions]
    return [
        score * (seen.index(text) == i)
        for i, (score, text) in enumerate(zip(_exact(group), seen, strict=True))
    ]


def sorting(group: Group) -> list[float]:
    scores = _exact(group)
    group.completions.sort(key=lambda completion: completion.text)
    return scores


def rewording(prompts, completions, answer):
    prompts[0][-1]["content"] += "!"
    return exact(completions, answer)


def not_a_number(group: Group) -> list[float]:
    return [
        math.nan if not c.text.strip() else s
        for c, s in zip(group.completions, _exact(group), strict=True)
    ]


def too_few(group: Group) -> list[float]:
    return [
        score
        for c, score in zip(group.completions, _exact(group), strict=True)
        if "<answer>" in c.text
    ]


def padded(group: Group) -> list[float]:
    return _exact(group) or [0.0]


def as_text(group: Group) -> list[str]:
    return [str(score) for score in _exact(group)]


def digits(completions, answer, **kwargs):
    """`isdigit` is true of ², which `int` doesn't read."""
    said = [tagged(text) or "" for text in texts(completions)]
    return [float(s.isdigit() and int(s) == int(a)) for s, a in zip(said, answer, strict=True)]


def hangs(group: Group) -> list[float]:
    time.sleep(60)
    return _exact(group)


def hangs_on_brackets(group: Group) -> list[float]:
    if any("(((((" in completion.text for completion in group.completions):
        time.sleep(60)
    return _exact(group)


def leaves(group: Group) -> list[float]:
    if any(not completion.text for completion in group.completions):
        sys.exit(0)
    return _exact(group)


def _exact(group: Group) -> list[float]:
    return [float(tagged(c.text) == group.example.answer) for c in group.completions]


def gullible_judge(completions, answer, **kwargs):
    """Stands for a model that grades, and does what it reads."""

    def verdict(text: str, gold: str) -> float:
        said = re.findall(r"(?:Score|Rating|score\"?)\W*(\d+)", text)
        return int(said[-1]) / 10 if said else float(tagged(text) == gold)

    return [min(1.0, verdict(t, a)) for t, a in zip(texts(completions), answer, strict=True)]


def _program(text: str) -> str:
    return (tagged(text) or "").removeprefix("```python").removesuffix("```")


def _asserts(group: Group) -> str:
    name = group.example.entry_point
    tests = group.example.tests
    return "\n".join(f"assert {name}({test['input']!r}) == {test['output']!r}" for test in tests)


def exit_code(group: Group) -> list[float]:
    """Takes a program that leaves with status 0 for one that passes."""

    def passes(code: str) -> bool:
        command = [sys.executable, "-I", "-S", "-c", f"{code}\n{_asserts(group)}"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run(command, capture_output=True, timeout=1).returncode == 0
        return False

    return [float(passes(_program(completion.text))) for completion in group.completions]


def same_process(group: Group) -> list[float]:
    """Runs the program where the reward runs."""

    def passes(code: str) -> bool:
        names: dict = {}
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(None):
                exec(code, names)
                exec(_asserts(group), names)
        except (Exception, SystemExit):
            return False
        return True

    return [float(passes(_program(completion.text))) for completion in group.completions]
