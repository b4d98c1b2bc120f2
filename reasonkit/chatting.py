"""A conversation with a model: its words as they come, its thoughts apart from what it says.

In a terminal the conversation goes on from turn to turn; where questions are piped in, a line each,
every one stands for itself and gets a plain answer. Leaves out servers and tools.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.text import Text

from reasonkit import console
from reasonkit.answers.reading import TAGS, THOUGHTS, answer_part
from reasonkit.config import CommonConfig
from reasonkit.errors import RefusedError
from reasonkit.generation.engine import Sampling, TokenEngine
from reasonkit.runs import Run
from reasonkit.types import Example, Group, Message
from reasonkit.voting.ballots import BLANK, cast

OPENING, CLOSING = ({tags[i] for tags in THOUGHTS} for i in (0, 1))
MARKS = sorted({*OPENING, *CLOSING, *TAGS}, key=len, reverse=True)
"""Tags that aren't shown."""

AS_ASKED = ("system_prompt", "max_completion_tokens")
"""Settings of a run that its model is asked with."""

HELP = """/think         show thoughts, or hide them
/vote N        answer by the most frequent of N samples; /vote 1 ends that
/system TEXT   put TEXT before the conversation; nothing for none
/reset         forget what was said
/quit          end"""


@dataclass
class Chat:
    """A conversation.

    Attributes:
        sampling: how a turn is drawn; its seed counts on from turn to turn.
        system: the system prompt; empty for none.
        thoughts: whether they are shown.
        remembers: whether a question is asked behind the turns before it.
        votes: samples a turn.
        heat: temperature of samples that are voted among where a single answer is greedy.
        said: the turns so far.
    """

    engine: TokenEngine
    sampling: Sampling
    system: str
    thoughts: bool
    remembers: bool = True
    votes: int = 1
    heat: float = 1.0
    said: list[Message] = field(default_factory=list)

    def prompt(self, question: str) -> Example:
        """The conversation with a question at its end."""
        led: list[Message] = [{"role": "system", "content": self.system}] if self.system else []
        messages = (*led, *self.said, {"role": "user", "content": question})
        return Example(f"turn {len(self.said)}", "chat", messages, "")

    def answer(self, question: str) -> Iterator[str]:
        """The model's words as they come; they join the conversation once they are all there."""
        words = []
        for piece in self.engine.stream(self.prompt(question), self.sampling):
            words.append(piece)
            yield piece
        self._remember(question, "".join(words))

    def vote(self, question: str) -> tuple[str | None, list[tuple[str, int]], str]:
        """The elected answer, the votes of each, and a completion that gives that answer."""
        sampling = self.sampling
        if sampling.temperature == 0:
            sampling = Sampling(sampling.max_tokens, self.heat, seed=sampling.seed)
        drawn = self.engine.sample([self.prompt(question)], self.votes, sampling)
        (group,) = console.counted(drawn, 1, f"{self.votes} samples")
        ballots = cast(Group(group.example, group.completions))
        order = sorted(range(len(ballots.answers)), key=lambda i: -ballots.votes[i])
        counted = [(ballots.answers[i], int(ballots.votes[i])) for i in order]
        spokesman = list(ballots.classes).index(order[0] if order else BLANK)
        text = group.completions[spokesman].text
        self._remember(question, text)
        return (counted[0][0] if counted else None), counted, text

    def _remember(self, question: str, text: str) -> None:
        if self.remembers:
            turn = {"role": "user", "content": question}, {"role": "assistant", "content": text}
            self.said += turn

    def obey(self, line: str) -> str:
        """What a line that begins with a slash has changed, in words.

        Raises:
            EOFError: it ends the conversation.
        """
        command, _, rest = line.partition(" ")
        if command in ("/quit", "/exit"):
            raise EOFError
        if command == "/think":
            self.thoughts = not self.thoughts
            return f"thoughts are {'shown' if self.thoughts else 'hidden'}"
        if command == "/vote" and rest.strip().isdecimal() and int(rest):
            self.votes = int(rest)
            return f"samples a question: {self.votes}"
        if command == "/system":
            self.system, self.said = rest.strip(), []
            return f"system prompt: {self.system or 'none'}; what was said is forgotten"
        if command == "/reset":
            self.said = []
            return "what was said is forgotten"
        return HELP


def parted(pieces: Iterable[str]) -> Iterator[tuple[bool, str]]:
    """A text that comes in pieces as (whether it is a thought, text), without the tags."""
    waiting, thinking = "", False
    for piece in pieces:
        waiting += piece
        while found := [mark for mark in MARKS if mark in waiting]:
            mark = min(found, key=waiting.index)
            before, _, waiting = waiting.partition(mark)
            if before:
                yield thinking, before
            thinking = mark in OPENING or (thinking and mark not in CLOSING)
        # The end of a piece may be the beginning of a tag.
        held = max(
            (n for mark in MARKS for n in range(1, len(mark)) if waiting.endswith(mark[:n])),
            default=0,
        )
        if told := waiting[: len(waiting) - held]:
            yield thinking, told
        waiting = waiting[len(waiting) - held :]
    if waiting:
        yield thinking, waiting


def open_chat(config: CommonConfig, system: str | None, temperature: float) -> Chat:
    """Loads a model to talk to; a run's is asked as its run asked it.

    Raises:
        RefusedError: it isn't there, or can't be used.
    """
    from reasonkit.generation.engine import open_engine
    from reasonkit.models.resolving import resolve
    from reasonkit.plan import Plan, by_model, filled, policy
    from reasonkit.tasks import Splits

    with console.doing(f"loading {config.model}"):
        resolved, path = resolve(config.model), Path(config.model)
        if (path / "run.json").exists():
            made = Run(path).config
            config = filled(config, **{name: made[name] for name in AS_ASKED})
        config = by_model(config, resolved.entry)
        hello = Example("hello", "chat", ({"role": "user", "content": "Hello"},), "")
        plan = Plan(config, resolved, Splits([], [], [hello]), [])
        plan, tokenizer, model = policy.load(plan, trains=False)
        engine = open_engine(plan.config, model, tokenizer)
    led = plan.config.system_prompt if system is None else system
    remembers = resolved.entry.source != "packaged"
    if not remembers:
        console.note(f"{config.model} has learned single questions: each stands for itself")
    sampling = Sampling(plan.longest, temperature, seed=config.seed)
    return Chat(engine, sampling, led or "", True, remembers, heat=resolved.entry.temperature)


def converse(chat: Chat) -> None:
    """Turns in a terminal, until the end of input."""
    with suppress(ImportError):
        import readline  # noqa: F401
    console.note("ask something; /help tells what else there is, Ctrl-D ends it")
    while True:
        try:
            line = input("> ").strip()
            if line.startswith("/"):
                console.note(chat.obey(line))
            elif line:
                _show(chat, line)
        except EOFError:
            return
        except KeyboardInterrupt:
            console.out.print(Text(" … stopped", style="dim"))
        except RefusedError as error:
            console.show_error(str(error))


def _show(chat: Chat, question: str) -> None:
    pieces: Iterable[str]
    if chat.votes > 1:
        _, counted, text = chat.vote(question)
        most = max((votes for _, votes in counted), default=0)
        for answer, votes in counted:
            console.out.print(Text(f"{'█' * round(20 * votes / most):<20} {votes:>3}  {answer}"))
        pieces = [text]
    else:
        pieces = chat.answer(question)
    last = False
    for thinking, piece in parted(pieces):
        if thinking and not chat.thoughts:
            continue
        if last and not thinking:
            console.out.print()
        last = thinking
        console.out.print(Text(piece, style="dim italic" if thinking else ""), end="")
    console.out.print()


def answer_lines(chat: Chat, lines: Iterable[str]) -> None:
    """A plain answer on stdout for each line, which stands for itself."""
    chat.remembers = False
    for line in (line.strip() for line in lines):
        if line.startswith("/"):
            try:
                console.note(chat.obey(line))
            except EOFError:
                return
            continue
        if not line:
            continue
        if chat.votes > 1:
            elected, _, text = chat.vote(line)
            text = text if chat.thoughts or elected is None else elected
        else:
            text = "".join(chat.answer(line))
        said = text if chat.thoughts else answer_part(text)
        if said is None:
            console.warn(f"{line!r}: it was cut off while it thought: --max-completion-tokens")
        console.write(said or "")


def is_piped() -> bool:
    """Whether questions come from elsewhere than a person's keys."""
    return not (sys.stdin.isatty() and sys.stdout.isatty())
