"""Engines that sample completions, behind one protocol, and the place that knows which there are.

An engine's ``sample(examples, n, sampling)`` yields a `Group` for each example as soon as it is
finished, in an order of the engine's choosing; close the iterator to stop early. The same call
gives the same completions, but for rounding where an engine lays out its batches by chance. What
costs money promises no such thing (`paid`): `reasonkit.generation.pool` keeps what was given.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from reasonkit.config import CommonConfig, Config, EngineName, GrpoConfig, ServerConfig, Shard
from reasonkit.models.chat import encode_prompts, text_of
from reasonkit.types import Completion, Example, Group, Weighing

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from reasonkit.generation.paid import ServerEngine
    from reasonkit.generation.replay import Recorded
    from reasonkit.generation.together import Flow


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn, as transformers defines it.

    ``temperature`` 0 is greedy decoding, ``top_k`` 0 keeps all tokens, and strings of ``stop``,
    which end a completion, stay part of it.
    """

    max_tokens: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Floor:
    """Ends a completion whose last ``window`` tokens are, in the mean, less sure than ``least``."""

    least: float
    window: int


def drawn_by(config: CommonConfig, seed: int | None = None) -> Sampling:
    """How completions are drawn, by settled settings; their own seed where none is given."""
    assert config.max_completion_tokens
    names = [name for name in ("temperature", "top_p") if hasattr(config, name)]
    given = {name: getattr(config, name) for name in names}
    return Sampling(
        config.max_completion_tokens, seed=config.seed if seed is None else seed, **given
    )


class Engine(Protocol):
    """What samples completions."""

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example."""


Named = Callable[["PreTrainedModel"], Iterable[tuple[str, "torch.Tensor"]]]
"""Gives the weights of a policy by the names of its files."""


class TokenSampler(ABC):
    """Continues token ids: an engine over weights here, or what hands them on to one.

    Attributes:
        tokenizer: of the model, with a chat template.
    """

    tokenizer: PreTrainedTokenizerBase

    def sample(self, examples: Sequence[Example], n: int, sampling: Sampling) -> Iterator[Group]:
        """Yields one group of ``n`` completions an example as soon as it is finished.

        What is drawn for an example depends on ``sampling``, on its task and id and on the place in
        the group; the examples that it is sampled with change its logits by no more than rounding.
        """
        prompts, opened = encode_prompts(self.tokenizer, examples)
        seeds = [seed_of(sampling.seed, example.task, example.id) for example in examples]
        for i, completions in self.sample_ids(prompts, n, sampling, seeds):
            if opened[i]:
                completions = [dataclasses.replace(c, text=opened[i] + c.text) for c in completions]
            yield Group(examples[i], completions)

    @abstractmethod
    def sample_ids(
        self,
        prompts: Sequence[Sequence[int]],
        n: int,
        sampling: Sampling,
        seeds: Sequence[int],
        floors: Sequence[Floor | None] = (),
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Continues token ids: yields a prompt's number with its ``n`` completions.

        Args:
            prompts: token ids of each, none empty: a chat template's, or also the beginning of an
                answer that is to be gone on with.
            seeds: of each prompt, for which the same completions are drawn wherever it stands and
                of which a smaller ``n`` draws the first; ``sampling.seed`` doesn't count.
            floors: of each prompt, for an engine that watches (`TokenEngine`).

        The completions hold what is new alone, without the prompt. The model's weights must stay as
        they are until the iterator has ended.
        """

    def stream(self, example: Example, sampling: Sampling) -> Iterator[str]:
        """What `sample` gives for one completion, in pieces of its text as they come."""
        prompts, (opened,) = encode_prompts(self.tokenizer, [example])
        seeds = [seed_of(sampling.seed, example.task, example.id)]
        said, given, text = list[int](), 0, ""
        if opened:
            yield opened
        for id in self.stream_ids(prompts[0], sampling, seeds[0]):
            said.append(id)
            text = text_of(self.tokenizer, said)
            # A character may take several tokens.
            if len(text) > given and not text.endswith("\N{REPLACEMENT CHARACTER}"):
                yield text[given:]
                given = len(text)
        if text[given:]:
            yield text[given:]

    @abstractmethod
    def stream_ids(self, ids: Sequence[int], sampling: Sampling, seed: int) -> Iterator[int]:
        """The tokens of one completion as they are drawn; close the iterator to stop early."""


class TokenEngine(TokenSampler):
    """An engine over weights that this process holds, or can put into it.

    Attributes:
        name: as ``--engine`` has it.
        own_bytes: that it holds of memory as long as it is open, beside the model.
        tells: what votes can weigh that its completions come with.
        watches: whether it looks at completions while it draws them, and stops at a `Floor`.
    """

    name: str
    own_bytes: int = 0
    tells: frozenset[Weighing]
    watches: bool = False

    @abstractmethod
    def flow(self, widest: int, longest: int, rows: int = 1) -> Flow:
        """What samples prompts that come one by one, at most ``rows`` completions at once.

        Args:
            widest, longest: tokens of a prompt, and of a completion, at most."""

    def stream_ids(self, ids: Sequence[int], sampling: Sampling, seed: int) -> Iterator[int]:
        """As of `TokenSampler`."""
        from reasonkit.generation.together import alone

        return alone(self.flow(len(ids), sampling.max_tokens), ids, sampling, seed)

    @abstractmethod
    def use(
        self,
        model: PreTrainedModel,
        products: torch.dtype | None = None,
        named: Named | None = None,
    ) -> None:
        """Samples from this model's weights, as they are now, from here on.

        Args:
            products: what they are computed in (`reasonkit.models.precision`).
            named: for an engine that keeps weights of its own: gives what it copies, by the names
                of the model's files; by default the model's parameters.
        """

    @property
    @abstractmethod
    def origin(self) -> dict[str, str]:
        """What settles its samples, beside model, prompts and sampling."""

    def close(self) -> None:
        """Lets go of what it holds; it samples no more."""


def seed_of(*parts: object) -> int:
    """A seed of 128 bits that no two different sequences of parts share."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=16).digest(), "little")


def settle(config: Config, model: PreTrainedConfig, parameters: int) -> tuple[Config, str]:
    """The settings with the engine chosen, and why it is that one.

    Raises:
        RefusedError: the engine that is asked for isn't there, or can't run this model.
    """
    from reasonkit.generation import vllm
    from reasonkit.models import precision

    where = precision.device(config.device)
    if isinstance(config, GrpoConfig) and config.vllm_server:
        return config, "on servers"
    if config.engine == EngineName.vllm:
        vllm.require(model)
        return config, "asked for"
    chosen, why = EngineName.local, f"{parameters / 1e6:,.0f}M parameters on {where}"
    if where == "cuda" and config.engine == EngineName.auto:
        cut = getattr(config, "shard", Shard.none) == Shard.zero3
        lack = "--shard zero3 has its weights for local" if cut else vllm.lack(model)
        chosen = EngineName.local if lack else EngineName.vllm
        why += f"; {lack}" if lack else ", and vllm is here"
    return dataclasses.replace(config, engine=chosen), why


def may_keep_weights(config: CommonConfig) -> bool:
    """Whether the engine that is settled on (`settle`) may be one with weights of its own."""
    from reasonkit.models import precision

    on_gpu = precision.device(config.device) == "cuda"
    return config.engine == EngineName.vllm or (on_gpu and config.engine == EngineName.auto)


def open_engine(
    config: CommonConfig,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    products: torch.dtype | None = None,
    trains: bool = False,
    sure: bool = False,
    columns: int = 0,
) -> TokenEngine:
    """An engine over a model, as the settings name it (`settle`).

    Args:
        products: as of `TokenEngine.use`.
        trains: whether log-probabilities are those of the distribution that tokens are drawn from,
            as an update needs them, or the model's own, a vote's confidence.
        sure: whether completions are to tell how sure the model was of each token.
        columns: tokens of the longest row, for which the settings' ``rows`` were chosen, if any.

    Raises:
        RefusedError: the engine can't be opened over this model.
    """
    if isinstance(config, GrpoConfig) and config.vllm_server:
        from reasonkit.generation.vllm.served import ServedEngine

        return ServedEngine(config, model, tokenizer, columns)
    if config.engine == EngineName.vllm:
        from reasonkit.generation.vllm import VllmEngine

        return VllmEngine(config, model, tokenizer, trains, sure)
    from reasonkit.generation.local import ROWS, LocalEngine

    rows = config.rows or ROWS
    return LocalEngine(model, tokenizer, rows, products, trains, sure, columns)


def open_server(
    config: ServerConfig, model: str | None, logprobs: bool = True, sure: bool = False
) -> ServerEngine:
    """An engine over the settings' endpoint, which has been asked what it takes.

    Args:
        model: as the server calls it; the only one that it serves where None.
        logprobs, sure: as of `reasonkit.generation.endpoint.EndpointEngine`.

    Raises:
        RefusedError: the server is down, isn't one, or wants another key or model.
    """
    from reasonkit.generation.endpoint import EndpointEngine
    from reasonkit.servers import Limits, read_key

    assert config.endpoint is not None
    key = read_key(Path(config.api_key_file) if config.api_key_file else None)
    limits = Limits(
        config.concurrency,
        config.requests_per_minute,
        config.tokens_per_minute,
        config.request_timeout,
    )
    engine = EndpointEngine(config.endpoint, model, key, limits, logprobs=logprobs, sure=sure)
    engine.connect()
    return engine


def open_replay(recorded: Sequence[Recorded]) -> Engine:
    """An engine that gives out what was recorded."""
    from reasonkit.generation.replay import ReplayEngine

    return ReplayEngine(recorded)
