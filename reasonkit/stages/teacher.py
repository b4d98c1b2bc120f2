"""The teacher of a student: found before anything is made, loaded when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reasonkit.config import DistillConfig
from reasonkit.errors import RefusedError
from reasonkit.generation import Sampling
from reasonkit.models import THINK_FIRST
from reasonkit.models.loading import ResolvedModel, load_model, load_tokenizer, resolve
from reasonkit.plan import led_by, quiet
from reasonkit.stages.filtering import is_finished
from reasonkit.types import Example, Group

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.generation.local import LocalEngine

DEFAULT = "abacus-reasoner"

AHEAD = 8
"""Questions that the teacher is asked before anything is made."""


@dataclass
class Teacher:
    """A model that is there to be sampled.

    Attributes:
        name: as it was given.
        model: found; its weights are loaded when they are first needed.
    """

    name: str
    model: ResolvedModel
    _engine: LocalEngine | None = field(default=None, repr=False)

    @property
    def asked_for_format(self) -> bool:
        """Whether its prompt asks for the think-answer format, or it was pre-trained on it."""
        entry = self.model.entry
        return entry.system_prompt == THINK_FIRST or entry.source == "packaged"

    def ask(self, examples: Sequence[Example]) -> list[Example]:
        """The examples as this teacher is asked: with its own system prompt."""
        return led_by(self.model.entry.system_prompt, examples)

    def engine(self, config: DistillConfig) -> LocalEngine:
        """Samples from its weights.

        Raises:
            RefusedError: they can't be read.
        """
        from reasonkit.generation.local import LocalEngine

        if self._engine is None:
            quiet()
            tokenizer, _ = load_tokenizer(self.model)
            weights = load_model(self.model, str(config.device), str(config.dtype))
            self._engine = LocalEngine(weights, tokenizer)
        return self._engine

    def release(self) -> None:
        """Lets go of the weights."""
        self._engine = None


def find(config: DistillConfig) -> Teacher | None:
    """The teacher that the settings name; None where there are traces and no teacher.

    Raises:
        RefusedError: there is no such model.
    """
    if config.teacher is None and config.traces is not None:
        return None
    name = config.teacher or DEFAULT
    return Teacher(name, resolve(name))


def sampling(config: DistillConfig) -> Sampling:
    """How traces are sampled."""
    assert config.max_completion_tokens
    return Sampling(
        config.max_completion_tokens, config.temperature, top_p=config.top_p, seed=config.seed
    )


def look_ahead(teacher: Teacher, examples: Sequence[Example], config: DistillConfig) -> list[Group]:
    """Asks a few questions, so that what can't work is known before anything is made.

    Raises:
        RefusedError: no completion is finished: cut off, or a thought that is never closed.
    """
    asked = teacher.ask(examples[:AHEAD])
    groups = list(teacher.engine(config).sample(asked, config.samples, sampling(config)))
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
        RefusedError: its tokenizer or the size of its vocabulary is another.
    """
    from transformers import AutoConfig

    other, _ = load_tokenizer(teacher.model)
    sizes = [
        config.get_text_config().vocab_size
        for config in (AutoConfig.from_pretrained(teacher.model.source), student.config)
    ]
    if other.get_vocab() != tokenizer.get_vocab() or sizes[0] != sizes[1]:
        raise RefusedError(
            f"{teacher.name} has another tokenizer than the student and can't grade its tokens: "
            "leave out --objective on-policy to learn from its traces"
        )
