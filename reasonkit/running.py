"""The course of a run, the same for every command: made or resumed, measured, marked, shown.

Leaves out what a command does in between.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from reasonkit import console, processes, runs
from reasonkit.config import CommonConfig, Invocation, from_mapping, to_mapping
from reasonkit.errors import ReasonkitError, RefusedError, RunError
from reasonkit.prompts import WORDINGS
from reasonkit.report import terminal
from reasonkit.sandbox import isolation
from reasonkit.types import Example

if TYPE_CHECKING:
    from reasonkit.evaluation import Evaluation
    from reasonkit.generation import Engine


def require_same_data(invocation: Invocation, data: str) -> None:
    """Refuses to go on with a run whose data has changed since it began.

    Args:
        data: a hash of all that the run reads beside models (`reasonkit.provenance.fingerprint`).

    Raises:
        RefusedError: it has, or ``--resume`` names no run.
    """
    if not invocation.resume:
        return
    assert invocation.run_dir is not None
    held = runs.open_run(invocation.run_dir).record.get("data")
    if held is not None and held != data:
        raise RefusedError(
            f"{invocation.run_dir} has begun with other data than there is now: put the files back "
            "as they were, or begin anew in another --run-dir"
        )


def begin(command: str, config: CommonConfig, invocation: Invocation, data: str) -> runs.Run:
    """A new run directory, or the one that ``--resume`` goes on with; one for all processes.

    Args:
        config: fully resolved.
        data: as of `require_same_data`.

    Raises:
        RefusedError: the directory can't be used.
    """

    def opened() -> runs.Run:
        if invocation.resume:
            assert invocation.run_dir is not None
            return runs.resume(invocation.run_dir)
        return runs.create(
            command,
            config.model,
            config.task,
            to_mapping(config),
            invocation.run_dir,
            sys.argv,
            data,
        )

    run = opened() if processes.is_main() else None
    path = processes.from_main(lambda: run.path if run else None)
    assert path is not None
    return run or runs.follow(path)


def is_done(config: CommonConfig, invocation: Invocation) -> bool:
    """Whether ``--resume`` names a run that is finished with these settings; then it is shown.

    Raises:
        RefusedError: it is no run.
    """
    if not invocation.resume:
        return False
    assert invocation.run_dir is not None
    opened = runs.open_run(invocation.run_dir)
    held = from_mapping(type(config), opened.config, str(opened.path / "config.yaml"))
    if opened.status != "finished" or held != config:
        return False
    console.note(f"{opened.path} is finished")
    terminal.show(json.loads((opened.path / "summary.json").read_text()), invocation.json)
    return True


def complete(run: runs.Run, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Does a run's work, marks how it ended and draws its page.

    Args:
        work: returns what becomes ``summary.json``.
    """
    from reasonkit.report import page

    try:
        summary = work()
        run.write_json("summary.json", summary)
        run.mark("finished")
        if run.leads:
            page.write(run)
    except KeyboardInterrupt:
        run.mark("interrupted")
        raise
    except OSError:
        # A full disk takes no mark either, and is what the user wants to hear of.
        with suppress(OSError):
            run.mark("failed")
        raise
    except Exception:
        run.mark("failed")
        raise
    return summary


def carry_out(run: runs.Run, work: Callable[[], dict[str, Any]], as_json: bool) -> None:
    """Completes a run, says how to go on where it stops, and shows its results.

    Args:
        work: as of `complete`.
        as_json: print ``summary.json`` instead of the table.
    """
    go_on = f"reasonkit {run.record['command']} --run-dir {run.path} --resume"
    if processes.size() > 1:
        go_on += f", in {processes.size()} processes"
    console.note(f"run: {run.path}")
    try:
        summary = complete(run, work)
    except KeyboardInterrupt:
        console.note(f"stopped; go on with: {go_on}")
        raise
    except OSError as error:
        where = error.filename or run.path
        raise RunError(
            f"{where}: {error.strerror or error}; what was written is kept; "
            f"once that is mended go on with: {go_on}"
        ) from error
    except ReasonkitError:
        console.note(f"go on with: {go_on}")
        raise
    terminal.show(summary, as_json)


def measure(
    run: runs.Run,
    name: str,
    engine: Engine,
    examples: Sequence[Example],
    max_tokens: int,
    wording: str | None = None,
    allow_weaker: bool = False,
    temperature: float = 0.0,
) -> Evaluation:
    """Accuracy of one completion a question, kept under a name.

    Each process answers its share of the questions. It is read from the run where it was measured
    already.

    Args:
        wording: as of `evaluation.evaluate`.
        allow_weaker: as there. The isolation that programs run under is kept in ``run.json``.
        temperature: 0 for greedy completions.
    """
    from reasonkit import evaluation
    from reasonkit.generation import Sampling

    path = run.evaluations / f"{name}.json"
    if processes.from_main(path.exists):
        return evaluation.Evaluation.load(path)
    if any(example.tests for example in examples):
        run.update(sandbox=isolation())
    sampling = Sampling(max_tokens, temperature=temperature)
    own = processes.share(examples)
    with console.progress(len(own), f"evaluating {name}") as (bar, task):
        answered = (
            evaluation.evaluate(
                engine,
                own,
                sampling,
                wording,
                allow_weaker=allow_weaker,
                progress=lambda n: bar.update(task, completed=n),
            )
            if own or not examples
            else evaluation.Evaluation(())
        )
    parts = processes.gathered(answered)
    verdicts = tuple(verdict for part in parts for verdict in part.verdicts)
    done = evaluation.Evaluation(verdicts, max(part.seconds for part in parts))
    if run.leads:
        done.save(path)
    a = done.accuracy
    console.note(f"{name}: {a.accuracy:.1%} ({a.low:.1%} to {a.high:.1%}, n = {a.n})")
    return done


@dataclass(frozen=True, slots=True)
class Before:
    """The untrained model on the test questions.

    Attributes:
        asked: directly.
        worded: with each step-by-step wording, by its name; empty where that isn't measured.
    """

    asked: Evaluation
    worded: dict[str, Evaluation]

    @property
    def all(self) -> tuple[Evaluation, ...]:
        """Every evaluation."""
        return (self.asked, *self.worded.values())

    def compared(self, after: Evaluation) -> dict[str, Any]:
        """Before, after and their paired differences, as they stand in ``summary.json``."""
        from reasonkit.evaluation import paired

        best = max(self.worded.values(), key=lambda e: e.accuracy.accuracy, default=self.asked)
        return {
            "before": self.asked.to_summary(),
            "after": after.to_summary(),
            "baselines": {name: e.to_summary() for name, e in self.worded.items()},
            "paired": asdict(paired(self.asked.verdicts, after.verdicts)),
            "paired_with_best_wording": asdict(paired(best.verdicts, after.verdicts)),
        }


def measure_before(
    run: runs.Run,
    engine: Engine,
    examples: Sequence[Example],
    max_tokens: int,
    worded: bool,
    allow_weaker: bool = False,
) -> Before:
    """Measures the untrained model; with ``worded`` in each of `WORDINGS` too."""

    def measured(name: str, wording: str | None = None) -> Evaluation:
        return measure(run, name, engine, examples, max_tokens, wording, allow_weaker)

    names = WORDINGS if worded else ()
    return Before(measured("before"), {name: measured(f"before-{name}", name) for name in names})


def peak_memory() -> int:
    """Bytes: the most that was held, on the GPU where there is one, else by this process."""
    import resource

    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
