"""What takes updates, by the name of ``--optimizer``, and the bytes of its state.

AdamW is torch's; in 8 bits bitsandbytes' (Dettmers et al., arXiv:2110.02861), whose paged form
moves to the CPU what a GPU has no room for; Adafactor (Shazeer and Stern, arXiv:1804.04235) is
transformers'. Muon (Jordan et al., 2024), scaled so that AdamW's learning rate fits it (Liu et al.,
arXiv:2502.16982, equation 4), takes the matrices within the model, AdamW the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from reasonkit.config import Optimizer

NAMES = {
    Optimizer.adamw: "adamw_torch_fused",
    Optimizer.adamw_8bit: "adamw_8bit",
    Optimizer.paged_adamw_8bit: "paged_adamw_8bit",
    Optimizer.adafactor: "adafactor",
    Optimizer.muon: "adamw_torch_fused",
}
"""By which transformers knows them; Muon it doesn't: `MatricesByMuon`."""

BYTES = {
    Optimizer.adamw: (8.0, 8.0),
    Optimizer.adamw_8bit: (2.0 + 8 / 256, 8.0),
    Optimizer.paged_adamw_8bit: (2.0 + 8 / 256, 8.0),
    Optimizer.adafactor: (0.0, 0.0),
    Optimizer.muon: (4.0, 8.0),
}
"""Of state, a parameter within the model and one of its embeddings. In 8 bits each block of 256 has
two scales; embeddings stay in 32. Adafactor has a row's and a column's sums alone."""


class MatricesByMuon(torch.optim.Optimizer):
    """One optimizer to look at: its parts share its groups and its state."""

    def __init__(
        self, matrices: list[torch.Tensor], others: list[torch.Tensor], learning_rate: float
    ) -> None:
        super().__init__([{"params": matrices}, {"params": others}], {"lr": learning_rate})
        first, second = self.param_groups
        self._parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon([first], weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([second], weight_decay=0.0),
        )
        self._share()

    def _share(self) -> None:
        for part, group in zip(self._parts, self.param_groups, strict=True):
            part.state, part.param_groups = self.state, [group]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._share()

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Both parts take theirs."""
        for part in self._parts:
            part.step()


def by_muon(model: torch.nn.Module, learning_rate: float) -> MatricesByMuon:
    """Muon for a model's matrices, but those that stand for single tokens."""
    tokens = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding)
        for parameter in module.parameters()
    }
    head = getattr(model, "get_output_embeddings", lambda: None)()
    tokens |= {id(parameter) for parameter in head.parameters()} if head is not None else set()
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def inner(parameters: Iterable[torch.Tensor], wanted: bool) -> list[torch.Tensor]:
        return [p for p in parameters if (p.ndim == 2 and id(p) not in tokens) == wanted]

    return MatricesByMuon(inner(learned, True), inner(learned, False), learning_rate)
