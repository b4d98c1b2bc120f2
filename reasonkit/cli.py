"""The command line: what isn't a recipe (see `reasonkit.commands`), errors and exit codes.

What a command needs beyond this is imported inside its body; listing things takes no longer than it
must.
"""

from __future__ import annotations

import errno
import json
import signal
import sys
from pathlib import Path

import typer

from reasonkit import clusters, completing, console, hanging, processes, ready_made
from reasonkit.commands import RECIPES, Commands, is_shared
from reasonkit.errors import ReasonkitError, RefusedError, RunError, StoppedError, UnknownNameError
from reasonkit.interruption import stop_now

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Make a language model reason.",
)
app.add_typer(ready_made.app, name="recipes")
app.add_typer(clusters.app, name="launch")
tasks_app = typer.Typer(
    invoke_without_command=True, help="Lists the tasks; `profile` tells which would teach a model."
)
app.add_typer(tasks_app, name="tasks")
rewards_app = typer.Typer(
    invoke_without_command=True, help="Lists the rewards; `check` attacks some of them."
)
app.add_typer(rewards_app, name="rewards")


def _show_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        console.write(importlib.metadata.version("reasonkit"))
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print it."
    ),
) -> None:
    command = context.invoked_subcommand
    if processes.size() > 1 and not is_shared(str(command)):
        raise RefusedError(
            f"reasonkit {command} runs in one process, not {processes.size()}: "
            f"only {', '.join(filter(is_shared, RECIPES))} can be shared out"
        )


@app.command("runs")
def list_runs(
    paths: list[Path] | None = typer.Argument(
        None,
        metavar="[FOLDER | RUN RUN…]",
        help="Where the runs are (default: runs), or which to compare.",
        autocompletion=completing.values("run"),
    ),
) -> None:
    """Lists the runs in a folder, or sets finished ones side by side on the same questions."""
    from reasonkit import listing

    if paths and len(paths) > 1:
        from reasonkit.report.beside import side_by_side

        made = side_by_side(paths)
        console.show_table(made.title, made.heads, made.rows, made.numbers)
        return
    folder = paths[0] if paths else Path("runs")
    found = listing.list_runs(folder)
    if not found:
        console.note(f"no runs in {folder}")
    # A name that is wrapped, as in a table, can't be copied.
    for row in found:
        console.say(row["run"])
        console.say(f"  {listing.about(row)}")


@app.command("report")
def draw_report(
    run: Path = typer.Argument(
        help="A run directory, finished or not.", autocompletion=completing.values("run")
    ),
    show: bool = typer.Option(False, "--open", help="Show it in the browser."),
    serve: bool = typer.Option(
        False, "--serve", help="Redraw it as the run goes on, for this machine alone."
    ),
    port: int = typer.Option(0, help="Of --serve; 0 is any.", min=0, max=65535),
) -> None:
    """Draws the page of a run."""
    import webbrowser

    from reasonkit import runs
    from reasonkit.report import page, serving

    opened = runs.open_run(run)
    if not serve:
        path = page.write(opened)
        console.write(str(path))
        if show:
            webbrowser.open(path.absolute().as_uri())
        return
    try:
        server = serving.server(opened, port)
    except OSError as error:
        raise RefusedError(f"--port {port}: {error.strerror}; leave it out for any") from error
    with server:
        console.write(serving.address(server))
        console.note("Ctrl-C ends it")
        if show:
            webbrowser.open(serving.address(server))
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.note("ended")


@app.command("models")
def list_models() -> None:
    """Lists the models that have an entry; any other Hugging Face causal LM works too."""
    from reasonkit.models import MODELS

    rows = [
        (m.name, f"{m.parameters / 1e6:,.1f}M", m.source, m.description) for m in MODELS.values()
    ]
    console.show_table("models", ("name", "parameters", "from", "what it is"), rows)


@tasks_app.callback()
def list_tasks(context: typer.Context) -> None:
    """Lists the tasks that have an entry; files, hub data sets and gym:NAME work too."""
    if context.invoked_subcommand is not None:
        return
    from reasonkit.tasks import TASKS
    from reasonkit.tasks.generated import GENERATORS
    from reasonkit.tasks.settings import listed

    rows = [
        (t.name, ", ".join(f"{r}={w:g}" for r, w in t.rewards), t.description)
        for t in TASKS.values()
    ]
    console.show_table("tasks", ("name", "rewards", "what it asks"), rows)
    settings = [(name, *told) for name, g in GENERATORS.items() for told in listed(g.settings)]
    console.show_table(
        "settings, as in arithmetic:digits=2,operands=2-3",
        ("task", "setting", "usual", "allowed", "what it is"),
        settings,
    )


@tasks_app.command("traces")
def write_traces(
    task: str = typer.Argument(help="A generated task, with settings as for a recipe."),
    count: int = typer.Option(200, help="Questions, at most.", min=1),
    thought: bool = typer.Option(True, help="Write how it is worked out before the answer."),
) -> None:
    """Prints worked solutions of a generated task as JSONL: traces to distill without a teacher."""
    from reasonkit.tasks.generated import GENERATORS, worked

    if (name := task.partition(":")[0]) not in GENERATORS:
        raise UnknownNameError("generated task", name, GENERATORS)
    for row in worked(task, count, thought):
        console.write(json.dumps(row))


@tasks_app.command("profile")
def profile_tasks(
    model: str = typer.Option("abacus", help="As for a recipe."),
    tasks: list[str] | None = typer.Option(
        None, "--task", help="As for a recipe; may be repeated. (default: all generated ones)"
    ),
    columns: list[str] | None = typer.Option(None, help="As in question=COLUMN; may be repeated."),
    questions: int = typer.Option(24, help="How many are taken of each.", min=1),
    samples: int | None = typer.Option(
        None, help="Completions a question. (default: the model's group size)", min=1
    ),
    temperature: float | None = typer.Option(
        None, help="Of the samples. (default: by model)", min=0.01, max=5.0
    ),
    system_prompt: str | None = typer.Option(None, help="As for a recipe."),
    max_completion_tokens: int | None = typer.Option(None, help="As for a recipe.", min=2),
    seed: int = typer.Option(0, help="Of the samples.", min=0),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of a table."),
) -> None:
    """Samples tasks at a few difficulties, and tells which would teach a model."""
    from reasonkit import profiling
    from reasonkit.config import CommonConfig
    from reasonkit.tasks.rows import named_columns

    config = CommonConfig(
        model=model,
        system_prompt=system_prompt,
        max_completion_tokens=max_completion_tokens,
        seed=seed,
    )
    read = (tasks or [], named_columns(columns), questions, samples, temperature)
    with console.results_alone():
        profiles = list(profiling.profile(config, *read))
    profiling.show(model, profiles, as_json)


@rewards_app.callback()
def list_rewards(context: typer.Context) -> None:
    """Lists the rewards; your own is path/to/file.py:function."""
    if context.invoked_subcommand is not None:
        return
    from reasonkit.rewards import REWARDS

    facts = []
    for r in REWARDS.values():
        reads, pays = "yes" if r.needs_answer else "no", f"{r.range[0]:g} to {r.range[1]:g}"
        facts.append((r.name + r.parameter, r.claim, pays, reads, r.cost))
    columns = ("name", "claims", "range", "reads the answer", "cost")
    console.show_table("rewards", columns, facts)
    sources = [(r.name, r.description, r.paper) for r in REWARDS.values()]
    console.show_table("what they pay for", ("name", "pays", "from"), sources)


@rewards_app.command("check")
def check_rewards(
    task: str = typer.Option(help="Where the questions are from."),
    rewards: list[str] | None = typer.Argument(
        None,
        metavar="[NAME-OR-FILE[=WEIGHT]]…",
        help="As for --reward of a recipe. (default: the task's own)",
    ),
    questions: int = typer.Option(4, help="How many are taken.", min=1),
    columns: list[str] | None = typer.Option(None, help="As in question=COLUMN; may be repeated."),
    time_limit: float = typer.Option(
        30.0, help="Seconds that a call with 8 completions may take.", min=0.1
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
) -> None:
    """Attacks rewards, alone and together, before they cost a training run."""
    from reasonkit.report import linting
    from reasonkit.rewards.linter import lint
    from reasonkit.tasks import describe, load, usual_rewards
    from reasonkit.tasks.rows import named_columns

    wanted, most = named_columns(columns), 50 * questions
    splits = load(task, columns=wanted, train=most, validation=0, test=most)
    usual = usual_rewards(describe(task), splits)
    specs = rewards or [f"{name}={weight:g}" for name, weight in usual]
    with (
        console.results_alone(),
        console.progress(questions * len(specs), "attacking") as reached,
    ):
        report = lint(
            specs,
            splits.train or splits.test,
            count=questions,
            time_limit=time_limit,
            progress=reached,
        )
    linting.show(report, as_json)
    if report.findings:
        wanting = ", ".join(dict.fromkeys(finding.reward for finding in report.findings))
        raise RunError(f"{wanting}: faults were found; mend them before you train")


@app.command("doctor")
def examine(
    as_json: bool = typer.Option(False, "--json", help="Print JSON instead of tables."),
) -> None:
    """Tells what is here to run with, and what to do about what isn't."""
    from reasonkit import doctor

    doctor.show(as_json)


@app.command("strategies")
def list_strategies() -> None:
    """Lists the strategies of vote."""
    from reasonkit.voting.strategies import STRATEGIES

    rows = [(s.name, s.summary) for s in STRATEGIES.values()]
    console.show_table("strategies", ("name", "how it finds an answer"), rows)


def _require_text(arguments: list[str]) -> None:
    """Refuses bytes that are no UTF-8, which neither a model nor a file of a run can take."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            shown = argument.encode(errors="backslashreplace").decode()
            raise RefusedError(f"argument '{shown}' is not UTF-8 text") from None


def main() -> None:
    """The console script: exit code 0, 1 failed, 2 refused, 130 interrupted, 75 pre-empted.

    SIGTERM is what a cluster sends before it kills: it stops a run as Ctrl-C does.
    """
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, stop_now)
    with console.streams():
        try:
            _require_text(sys.argv[1:])
            with processes.joined() as store, hanging.noticed(store):
                sys.exit(app(prog_name="reasonkit", standalone_mode=False))
        except ReasonkitError as error:
            tell = console.note if isinstance(error, StoppedError) else console.show_error
            tell(str(error))
            sys.exit(error.exit_code)
        except OSError as error:
            # Every name that is given is looked for as a path, in one place or another.
            if error.errno != errno.ENAMETOOLONG:
                raise
            console.show_error(f"{str(error.filename)[:80]}…: a name too long for this file system")
            sys.exit(RefusedError.exit_code)
        except Exception as error:
            # What a command line can have wrong; which click it is from depends on typer's version.
            if not hasattr(error, "format_message"):
                raise
            if type(error).__name__ == "NoArgsIsHelpError":
                console.write(error.format_message())
            else:
                said = error.format_message().rstrip(".").replace("Value error, ", "")
                console.show_error(f"{said[:1].lower()}{said[1:]}; -h tells what it takes")
            sys.exit(RefusedError.exit_code)
