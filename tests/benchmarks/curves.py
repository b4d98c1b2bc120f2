"""Learning curves of several runs in one picture: accuracy on validation, length, entropy.

    python tests/benchmarks/curves.py OUT.svg LABEL=RUN…

Runs of the same label are seeds of one thing and have its colour.
"""

from __future__ import annotations

import sys
from pathlib import Path

from reasonkit.report.drawing import COLOURS, band, canvas, finish, svg
from reasonkit.runs import open_run

PANELS = {
    "validation": "accuracy on validation, greedy, 95 % interval",
    "completion_tokens": "mean length of completions, tokens",
    "entropy": "entropy, nats a token",
}


def main(out: Path, given: list[str]) -> None:
    figure, places = canvas(3.4, columns=len(PANELS))
    colours: dict[str, str] = {}
    for label, path in (item.split("=", 1) for item in given):
        first = label not in colours
        colour = colours.setdefault(label, COLOURS[len(colours) % len(COLOURS)])
        records = list(open_run(Path(path)).metrics())
        for place, name in zip(places, PANELS, strict=True):
            known = [record for record in records if record.get(name) is not None]
            # What no rollout has trained has no entropy.
            known = [record for record in known if name != "entropy" or record[name]]
            x = [record["step"] for record in known]
            place.plot(
                x,
                [record[name] for record in known],
                color=colour,
                label=label if first else "",
                marker="o" if name == "validation" else None,
                ms=3,
                lw=1.2,
            )
            if name == "validation":
                band(place, x, known, colour, "validation_low", "validation_high")
    for place, title in zip(places, PANELS.values(), strict=True):
        finish(place, title, "step", share=place is places[0], legend=place is places[0])
    drawn = str(svg("learning curves", figure)).replace(">", ' style="background: #fff">', 1)
    out.write_text(f"{drawn}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
