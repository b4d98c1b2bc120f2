"""Training a preference model: it learns to tell good from bad, and the same bytes each time."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch

from reasonkit.models.loading import load_tokenizer, resolve
from reasonkit.rewards.preference import make
from reasonkit.tasks.preferences import Pair, pairs
from reasonkit.training import abacus_judge
from reasonkit.types import Completion, Example, Group


def test_a_short_build_gives_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("one", "two"):
        abacus_judge.main(tmp_path / name, count=96)
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two
    score = make(str(tmp_path / "one"))
    example = Example("1", "general", ({"role": "user", "content": "Say hello to Ann."},), "")
    assert len(score(Group(example, [Completion("Hello, Ann!", (), "stop")]))) == 1


def test_it_learns_which_of_two_answers_is_better() -> None:
    start = resolve("abacus-mini")
    tokenizer, _ = load_tokenizer(start)
    learned = [
        Pair(p.prompt, p.chosen, p.rejected, p.flaw)
        for p in islice((p for p in pairs(0, "corpus") if p.flaw == "goes along"), 320)
    ]
    model = abacus_judge.train(start, tokenizer, learned[:256])
    model.config.pad_token_id = tokenizer.pad_token_id

    def reward(prompt: str, answer: str) -> float:
        chat = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        text = tokenizer.apply_chat_template(chat, tokenize=False)
        with torch.inference_mode():
            ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
            return float(model.eval()(**ids).logits)

    held_out = learned[256:]
    right = sum(reward(p.prompt, p.chosen) > reward(p.prompt, p.rejected) for p in held_out)
    assert right / len(held_out) > 0.8
