"""A conversation with a model: its words as they come, its thoughts apart from what it says.

In a terminal the conversation goes on from turn to turn; where questions are piped in, a line each,
every one stands for itself and gets a plain answer. Leaves out servers and tools.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from rich.text import Text

from reasonkit import console
from reasonkit.answering import Respondent, drawn_from, open_respondent, parted
from reasonkit.answers.reading import answer_part
from reasonkit.config import VoteConfig
from reasonkit.errors import RefusedError
from reasonkit.generation.engine import Sampling, TokenEngine
from reasonkit.types import Example, Message
from reasonkit.voting.records import record

HELP = """/think         show thoughts, or hide them
/vote N        answer by the most frequent of N samples; /vote 1 ends that
/system TEXT   put TEXT before the conversation; nothing for none
/reset         forget what was said
/quit          end"""


@dataclass
class Chat:
    """A conversation.

    Attributes:
        respondent: who answers.
        sampling: how a turn is drawn; greedy where its temperature is 0.
        system: the system prompt; empty for none.
        thoughts: whether they are shown.
        remembers: whether a question is asked behind the turns before it.
        votes: samples a turn, at the respondent's temperature where a single answer is greedy.
        said: the turns so far.
    """

    respondent: Respondent
    sampling: Sampling
    system: str
    thoughts: bool
    remembers: bool = True
    votes: int = 1
    said: list[Message] = field(default_factory=list)

    @property
    def engine(self) -> TokenEngine:
        """What samples."""
        engine = self.respondent.source.engine
        assert isinstance(engine, TokenEngine)
        return engine

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
        source = self.respondent.source
        config = replace(
            source.config,
            n=self.votes,
            temperature=self.sampling.temperature or source.config.temperature,
            max_completion_tokens=self.sampling.max_tokens,
        )
        with console.doing(f"{self.votes} samples"):
            outcome = self.respondent.vote(
                self.prompt(question), "majority", replace(source, config=config)
            )
        told = record(outcome)
        self._remember(question, outcome.completion.text)
        counted = [(found["answer"], found["votes"]) for found in told["answers"]]
        return told["elected"], counted, outcome.completion.text

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


def open_chat(config: VoteConfig, system: str | None, temperature: float) -> Chat:
    """Loads a model to talk to.

    Raises:
        RefusedError: as of `reasonkit.answering.open_respondent`.
    """
    with console.doing(f"loading {config.model}"):
        made = open_respondent(config, system)
    sampling = drawn_from(made.source.config, temperature)
    return Chat(made, sampling, made.system, True, made.remembers)


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
