"""What counts as work, and as looking at it again."""

from __future__ import annotations

import pytest

from reasonkit.answers.reading import read
from reasonkit.answers.work import rechecks, shows_work


@pytest.mark.parametrize(
    ("text", "extracted", "worked"),
    [
        ("14", "14", False),
        ("The answer is 14.", "14", False),
        ("<answer>14</answer>", "14", False),
        ("<think></think><answer>14</answer>", "14", False),
        ("<think> \n </think>14", "14", False),
        ("#### 3/4", "3/4", False),
        ("<think>2+2*6=2+12=14</think><answer>14</answer>", "14", True),
        ("<think>She has twice as many.</think>14", "14", True),
        ("2+2*6=2+12=14. The answer is 14.", "14", True),
        ("D'abord 2 + 12, donc la reponse est 14.", "14", True),
        ("2+12; 14\n#### 14", "14", True),
        ("$2 \\times 7$ is \\boxed{14}", "14", True),
        ("<think>2 and then", None, True),
    ],
)
def test_showing_work_is_seen_in_any_format(text: str, extracted: str | None, worked: bool) -> None:
    assert shows_work(text, read(text).thought, extracted) is worked


@pytest.mark.parametrize(
    ("text", "extracted", "again"),
    [
        ("<think>2+2*6=4*6 wait, 2+2*6=2+12=14</think><answer>14</answer>", "14", True),
        ("2 + 12 is 15. Let me check: 2 + 12 = 14. The answer is 14.", "14", True),
        ("That makes 24. Hmm, that's wrong. 14", "14", True),
        ("<think>It is 14, and re-checking gives 14 too", None, True),
        ("<think>2+2*6=2+12=14</think><answer>14</answer>", "14", False),
        ("<think>wait</think><answer>14</answer>", "14", False),
        ("Actually, 2+12=14. The answer is 14.", "14", False),
        ("The waiter serves 14", "14", False),
        ("The answer is 14. Wait, no.", "14", False),
    ],
)
def test_rechecking_is_counted_by_its_rule(text: str, extracted: str | None, again: bool) -> None:
    assert rechecks(text, extracted) is again
