"""The teacher of a student: found before anything is made, loaded when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reasonkit.config import Distillation, DistillConfig, EngineName
from reasonkit.errors import RefusedError, RunError
from reasonkit.generation.engine import (
    Engine,
    Sampling,
    TokenEngine,
    drawn_by,
    open_engine,
    open_server,
)
from reasonkit.generation.paid import ServerEngine
from reasonkit.models import DEFAULT_TEACHER, Model, entry_for
from reasonkit.models.loading import NOWHERE, load_model, load_tokenizer, read_config
from reasonkit.models.resolving import ResolvedModel, resolve
from reasonkit.prompts import THINK_FIRST, ask, led_by
from reasonkit.traces.filters import is_finished
from reasonkit.traces.sampling import given_ones
from reasonkit.types import Example, Group

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

AHEAD = 8
"""Questions that the teacher is asked before anything is made."""


@dataclass
class Teacher:
    """A model that is there to be sampled, in this process or behind a server.

    Attributes:
        name: as it was given, or as its server calls it.
        entry: what the registry knows of it, or assumes.
        server: asked for samples; None for a model in this process.
        model: found; its weights are loaded when they are first needed. None behind a server.
    """

    name: str
    entry: Model
    server: ServerEngine | None = None
    model: ResolvedModel | None = None
    _weights: PreTrainedModel | None = field(default=None, repr=False)
    _engine: TokenEngine | None = field(default=None, repr=False)
    _heat: float | None = field(default=None, repr=False)

    @property
    def asked_for_format(self) -> bool:
        """Whether its prompt asks for the think-answer format, or it was pre-trained on it."""
        return self.entry.system_prompt == THINK_FIRST or self.entry.source == "packaged"

    def temperature(self, max_tokens: int) -> float:
        """At which it is measured: 0, or 1 where its server takes no 0.

        Raises:
            RefusedError: the server can't be asked.
        """
        if self._heat is None:
            greedy = Sampling(max_tokens, temperature=0)
            self._heat = 0.0 if self.server is None or self.server.takes(greedy) else 1.0
        return self._heat

    def ask(self, examples: Sequence[Example], wording: str | None = None) -> list[Example]:
        """The examples as this teacher is asked: with its own system prompt, and in a wording."""
        asked = led_by(self.entry.system_prompt, examples)
        return [ask(example, wording) for example in asked] if wording else asked

    def engine(self, config: DistillConfig) -> Engine:
        """Samples from it.

        Raises:
            RefusedError: its weights can't be read.
        """
        if self.server is not None:
            return self.server
        if self._engine is None:
            self._engine = open_engine(config, self.weights(config), self.tokenizer())
        return self._engine

    def origin(self, config: DistillConfig) -> dict[str, object]:
        """What settles its samples, beside prompts and sampling."""
        engine = self.engine(config)
        if isinstance(engine, TokenEngine):
            return {"model": self.name, **engine.origin}
        return {"model": self.name, "endpoint": config.endpoint}

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of a model in this process."""
        assert self.model is not None
        return load_tokenizer(self.model)[0]

    def weights(self, config: DistillConfig) -> PreTrainedModel:
        """The weights of a model in this process, loaded the first time.

        They are left out where all that is asked of it is traces, and its engine has its own.

        Raises:
            RefusedError: they can't be read.
        """
        if self._weights is None:
            assert self.model is not None
            own = config.engine == EngineName.vllm and config.objective == Distillation.traces
            where = NOWHERE if own else str(config.device)
            self._weights = load_model(self.model, where, str(config.dtype))
        return self._weights

    def release(self) -> None:
        """Lets go of the weights."""
        if self._engine is not None:
            self._engine.close()
        self._weights = self._engine = None


def find(config: DistillConfig) -> Teacher | None:
    """The teacher that the settings name; None where there are traces and no teacher.

    Raises:
        RefusedError: there is no such model, or its server can't be used.
    """
    if config.endpoint is not None:
        server = open_server(config, config.teacher, logprobs=False)
        name = server.model
        return Teacher(name, entry_for(name), server=server)
    if config.teacher is None and config.traces is not None:
        return None
    model = resolve(config.teacher or DEFAULT_TEACHER)
    return Teacher(config.teacher or DEFAULT_TEACHER, model.entry, model=model)


def look_ahead(teacher: Teacher, examples: Sequence[Example], config: DistillConfig) -> list[Group]:
    """Asks a few questions, so that what can't work is known before anything is made.

    Raises:
        RefusedError: the server gives none, or no completion is finished: cut off, or a thought
            that is never closed.
    """
    if teacher.server is not None:
        teacher.server.require(drawn_by(config))
    asked = teacher.ask(examples[:AHEAD], config.wording)
    try:
        sampled = list(teacher.engine(config).sample(asked, config.samples, drawn_by(config)))
    except RunError as error:
        raise RefusedError(str(error)) from error
    groups = given_ones(sampled)
    completions = [completion for group in groups for completion in group.completions]
    if not any(map(is_finished, completions)):
        raise RefusedError(
            f"none of {len(completions)} completions of {teacher.name} is finished within "
            f"{config.max_completion_tokens} tokens with its thought closed: raise "
            "--max-completion-tokens or take another teacher"
        )
    return groups


def require_same_tokens(
    teacher: Teacher, tokenizer: PreTrainedTokenizerBase, student: PreTrainedModel
) -> None:
    """Refuses a teacher that can't grade the student's tokens, before its weights are loaded.

    Raises:
        RefusedError: it is behind a server, its files can't be read, or its tokenizer or its number
            of tokens is another.
    """
    advice = "leave out --objective on-policy to learn from its traces"
    if teacher.model is None:
        raise RefusedError(f"a server doesn't grade the student's tokens: {advice}")
    configs = (read_config(teacher.model), student.config)
    sizes = [config.get_text_config().vocab_size for config in configs]
    if teacher.tokenizer().get_vocab() != tokenizer.get_vocab() or sizes[0] != sizes[1]:
        raise RefusedError(
            f"{teacher.name} has another tokenizer than the student and can't grade its tokens: "
            f"{advice}"
        )
