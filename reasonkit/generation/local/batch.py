"""The loop: rows are let in as slots are free, take a token a step, and leave when they end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from reasonkit.errors import NotFiniteError, RunError
from reasonkit.generation.engine import Floor, Sampling
from reasonkit.generation.local.drawing import Drawing, uniforms
from reasonkit.generation.local.forward import Forward, evaluating
from reasonkit.generation.local.stopping import Ending
from reasonkit.models.chat import readable
from reasonkit.models.precision import computing
from reasonkit.types import FinishReason

REFILL = 4
"""Prompts are let in once one of so many slots is free: each time costs a forward pass."""

PREFILL = 16_384
"""Prompt tokens, padding included, that are read at once."""


@dataclass(frozen=True, slots=True)
class Row:
    """What was sampled for one completion: its tokens, the end-of-sequence token included.

    ``logprobs`` are theirs before truncation, and ``sureness`` two numbers each, as of `Drawing`.
    """

    token_ids: list[int]
    logprobs: list[float]
    finish: FinishReason
    sureness: list[list[float]]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids to continue, and the seed of what is drawn for them.

    ``n`` completions of at most ``most`` tokens; the batch's own numbers where None.
    """

    ids: Sequence[int]
    seed: int
    n: int | None = None
    most: int | None = None
    floor: Floor | None = None


class Batch:
    """Samples ``n`` completions of each prompt, at most ``rows`` at once.

    Args:
        prompts: in the order in which they are let in; more can be added.
        products, heated, sure: as of `reasonkit.generation.local.LocalEngine` and its ``trains``.
        widest: tokens of the longest prompt that will be added.

    A row ends where the model can read no more, if that is before ``sampling.max_tokens``.

    Raises:
        RunError: a prompt alone is longer than that.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        prompts: Sequence[Prompt],
        n: int,
        sampling: Sampling,
        rows: int,
        products: torch.dtype | None = None,
        heated: bool = False,
        sure: bool = False,
        widest: int = 0,
    ) -> None:
        self.model, self.n = model, n
        self.products = products
        self.longest = sampling.max_tokens
        widest = max((len(p.ids) for p in prompts), default=widest)
        self.readable = readable(model.config) or widest + self.longest
        self.forward = Forward(model, widest + self.longest)
        self.draw = Drawing(sampling, heated, sure)
        self.ending = Ending(model, tokenizer, sampling.stop)
        self.rows = min(rows, n * len(prompts)) if prompts else rows
        # Groups are let in whole, unless slots would stay empty for long until one fits.
        self.unit = n if n * REFILL <= self.rows else 1
        self.prompts: dict[int, Prompt] = {}
        self.waiting: deque[tuple[int, int]] = deque()
        self.sampled: dict[int, dict[int, Row]] = {}
        self.finished: list[int] = []
        # What belongs to a row keeps its place while the row moves from slot to slot.
        self.free = list(range(self.rows))
        self.whose = [(0, 0)] * self.rows
        self.tokens = torch.zeros((self.rows, self.longest), dtype=torch.long, device=model.device)
        self.logprobs = torch.zeros((self.rows, self.longest), device=model.device)
        self.sureness = self.logprobs.new_zeros((self.rows, self.longest if sure else 0, 2))
        self.u = torch.zeros_like(self.logprobs)
        self.most = self.tokens.new_zeros(self.rows)
        # Of a row's floor; 0 tokens where it has none, and how far back is looked in any of them.
        self.least, self.window = self.logprobs.new_zeros(self.rows), torch.zeros_like(self.most)
        self.back = 0
        # What follows is in the order of the slots.
        self.place, self.count, self.last = self.tokens.new_zeros((3, 0))
        for number, prompt in enumerate(prompts):
            self.add(number, prompt)

    def add(self, number: int, prompt: Prompt) -> None:
        """Another prompt, whose completions wait to be let in.

        Raises:
            RunError: it is longer than the model can read.
        """
        if (width := len(prompt.ids)) > self.readable:
            raise RunError(f"a prompt has {width} tokens, and the model can read {self.readable}")
        self.prompts[number], self.sampled[number] = prompt, {}
        self.back = max(self.back, prompt.floor.window if prompt.floor else 0)
        self.waiting.extend((number, j) for j in range(self._n(number)))

    def drop(self, number: int) -> None:
        """Leaves a prompt's completions as they are, and makes room for others."""
        if self.prompts.pop(number, None) is None:
            return
        del self.sampled[number]
        self.waiting = deque(row for row in self.waiting if row[0] != number)
        places = self.place.tolist()
        slots = [slot for slot, place in enumerate(places) if self.whose[place][0] == number]
        if slots:
            with evaluating(self.model):
                self._free(self.place.new_tensor(slots))

    def drawn(self, number: int) -> list[int]:
        """The tokens so far of the running completion of a prompt that has only one."""
        places = self.place.tolist()
        slot = next((s for s, place in enumerate(places) if self.whose[place][0] == number), None)
        return [] if slot is None else self.tokens[places[slot], : int(self.count[slot])].tolist()

    @property
    def is_busy(self) -> bool:
        """Whether there is something to sample."""
        return bool(self.waiting or len(self.place))

    def __iter__(self) -> Iterator[tuple[int, list[Row]]]:
        """Yields a prompt's number and its completions once all of them have ended."""
        while self.is_busy:
            yield from self.step(whole=True)

    def step(self, whole: bool = False) -> Iterator[tuple[int, list[Row]]]:
        """Draws a token for each row, and yields what is finished by it.

        Args:
            whole: whether to go on until something is.
        """
        with evaluating(self.model), computing(self.model.device, self.products):
            self._advance()
            while whole and not self.finished:
                self._advance()
        finished, self.finished = self.finished, []
        for i in finished:
            n, rows = self._n(i), self.sampled.pop(i)
            del self.prompts[i]
            yield i, [rows[j] for j in range(n)]

    def _n(self, number: int) -> int:
        return self.prompts[number].n or self.n

    def _advance(self) -> None:
        most = len(self.free) - len(self.free) % self.unit
        worth_it = self.forward.refills and most * REFILL >= self.rows
        if self.waiting and (worth_it or not len(self.place)):
            self._let_in(most)
        else:
            self._take(self.forward.step(self.last), 0)

    def _let_in(self, most: int) -> None:
        """Reads the prompts of the rows that have waited longest, and draws their first tokens."""
        rows: list[tuple[int, int]] = []
        numbers: dict[int, int] = {}
        widest = first = self._width(self.waiting[0])
        if not self.forward.refills:
            self.waiting = deque(sorted(self.waiting, key=lambda row: self._width(row) != first))
        while self.waiting and len(rows) < most:
            i, j = self.waiting[0]
            widest = max(widest, self._width((i, j)))
            if not self.forward.refills and self._width((i, j)) != first:
                break
            if i not in numbers and rows and widest * (len(numbers) + 1) > PREFILL:
                break
            numbers.setdefault(i, len(numbers))
            rows.append((i, j))
            self.waiting.popleft()
        places = [self.free.pop() for _ in rows]
        for place, (i, j) in zip(places, rows, strict=True):
            self.whose[place] = i, j
        longest = {i: self.prompts[i].most or self.longest for i in numbers}
        rooms = [max(1, self.readable - len(self.prompts[i].ids)) for i, _ in rows]
        limits = [min(longest[i], room) for (i, _), room in zip(rows, rooms, strict=True)]
        self.most[places] = self.most.new_tensor(limits)
        floors = [self.prompts[i].floor or Floor(0.0, 0) for i, _ in rows]
        self.least[places] = self.least.new_tensor([floor.least for floor in floors])
        self.window[places] = self.window.new_tensor([floor.window for floor in floors])
        if not self.draw.greedy:
            drawn = {i: uniforms(self.prompts[i].seed, self._n(i), longest[i]) for i in numbers}
            u = pad_sequence([drawn[i][j] for i, j in rows], batch_first=True)
            self.u[places, : u.size(1)] = u.to(self.u.device)
        which = torch.tensor([numbers[i] for i, _ in rows], device=self.place.device)
        logits = self.forward.admit([self.prompts[i].ids for i in numbers], which, self.rows)
        live, new = len(self.place), len(rows)
        self.place = torch.cat([self.place, self.place.new_tensor(places)])
        self.count = torch.cat([self.count, self.count.new_zeros(new)])
        self.last = torch.cat([self.last, self.last.new_zeros(new)])
        self._take(logits[which], live)

    def _width(self, row: tuple[int, int]) -> int:
        return len(self.prompts[row[0]].ids)

    def _take(self, logits: Tensor, first: int) -> None:
        """Draws a token for each row from slot ``first`` on, and lets those go that have ended."""
        place, count = self.place[first:], self.count[first:]
        drawn, logprob, sure = self.draw(logits, self.u[place, count])
        self.tokens[place, count], self.logprobs[place, count] = drawn, logprob
        if sure is not None:
            self.sureness[place, count] = sure
        count += 1
        self.last[first:] = drawn
        stopped = self.ending(drawn, self.tokens, place, count)
        ended = stopped | (count == self.most[place])
        if self.back:
            ended |= self._unsure(place, count)
        if ended.any():
            self._let_go(ended, stopped, first)

    def _unsure(self, place: Tensor, count: Tensor) -> Tensor:
        """Which rows have fallen below their floor."""
        window = self.window[place]
        back = torch.arange(self.back, device=count.device)
        looked_at = (count[:, None] - 1 - back).clamp(min=0)
        sure = self.sureness[place[:, None], looked_at, 0] * (back < window[:, None])
        # Whoever looks at the completion has its confidences rounded, and is to see it too.
        low = sure.sum(1) < (self.least[place] - 1e-3) * window
        return (window > 0) & (count >= window) & low

    def _let_go(self, ended: Tensor, stopped: Tensor, first: int) -> None:
        gone = ended.nonzero()[:, 0]
        slots = gone + first
        places, counts = self.place[slots].tolist(), self.count[slots].tolist()
        tokens = self.tokens[places, : max(counts)].tolist()
        found = self.logprobs[places, : max(counts)]
        if not found.isfinite().all():
            raise NotFiniteError(
                "the model's log-probabilities are no numbers: its weights are broken, or --dtype "
                "is too narrow for them"
            )
        logprobs = found.tolist()
        sure = self.sureness[places, : max(counts)].tolist()
        by_itself = stopped[gone].tolist()
        for k, (place, size) in enumerate(zip(places, counts, strict=True)):
            i, j = self.whose[place]
            finish: FinishReason = "stop" if by_itself[k] else "length"
            told = tokens[k][:size], logprobs[k][:size], finish, sure[k][:size]
            self.sampled[i][j] = Row(*told)
            if len(self.sampled[i]) == self._n(i):
                self.finished.append(i)
        self._free(slots)

    def _free(self, slots: Tensor) -> None:
        """Lets others have the places of these rows, whose slots the last ones take."""
        self.free += self.place[slots].tolist()
        staying = torch.ones_like(self.place, dtype=torch.bool)
        staying[slots] = False
        kept = staying.nonzero()[:, 0]
        left = len(kept)
        # The last rows move into the gaps, so that little is copied.
        order = torch.arange(left, device=kept.device)
        order[slots[slots < left]] = kept[kept >= left]
        self.forward.keep(order)
        self.place, self.count, self.last = (t[order] for t in (self.place, self.count, self.last))
