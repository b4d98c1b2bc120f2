"""What figures say of themselves."""

import re

from reasonkit.report.drawing import POINTS, canvas, finish, svg


def said(title: str, figure: object) -> list[str]:
    return re.findall(r"<title>([^<]*)</title>", svg(title, figure))  # type: ignore[arg-type]


def test_every_point_of_a_labelled_line_says_its_label_and_its_values() -> None:
    figure, (place,) = canvas(2)
    place.plot([1, 2], [0.25, 0.5], label="grpo")
    place.plot([1, 2], [7, 8])
    place.axhline(0.3, label="before")
    finish(place, "accuracy", "step")
    assert said("lines", figure) == ["grpo, step 1: 0.25", "grpo, step 2: 0.5"]


def test_bars_dots_and_points_with_intervals_say_what_they_stand_over() -> None:
    figure, (bars, points, dots) = canvas(2, columns=3)
    bars.bar([-0.2, 0.8], [0.1, 0.9], 0.4, yerr=[[0, 0], [0, 0]], label="majority")
    bars.set_xticks([0, 1], ["never", "half\n9 questions"])
    points.errorbar([0, 1], [0.1, 0.9], yerr=[[0, 0], [0, 0]], label="accuracy")
    points.set_xticks([0, 1], ["base", "rl"])
    dots.scatter(2e9, 0.5, label="a <b>")
    finish(dots, "accuracy", "FLOPs")
    assert said("others", figure) == [
        "majority, never: 0.1",
        "majority, half 9 questions: 0.9",
        "accuracy, base: 0.1",
        "accuracy, rl: 0.9",
        "a &lt;b&gt;, FLOPs 2e+09: 0.5",
    ]


def test_a_long_line_says_its_last_value_and_some_on_the_way() -> None:
    figure, (place,) = canvas(2)
    place.plot(range(1000), range(1000), label="loss")
    finish(place, "loss", "step")
    found = said("long", figure)
    assert POINTS <= len(found) <= POINTS + 2
    assert found[-1] == "loss, step 999: 999"
