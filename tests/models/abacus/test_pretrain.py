"""The embedded models can be rebuilt, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from reasonkit.models.abacus import tokenizer as abacus_tokenizer
from reasonkit.models.abacus.pretrain import orthogonalise
from reasonkit.models.loading import load_tokenizer
from reasonkit.models.resolving import resolve

FROM_FEW_PAGES = """
import sys
from pathlib import Path
from reasonkit.models.abacus import pretrain
pretrain.POOL = 64
pretrain.main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[4]))
"""
AS_SHIPPED = """
import runpy
runpy.run_module("reasonkit.models.abacus.pretrain", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("code", "scale"),
    [(FROM_FEW_PAGES, 0.001), pytest.param(AS_SHIPPED, 0.01, marks=pytest.mark.slow)],
    ids=["from few pages", "as shipped"],
)
def test_two_builds_give_the_same_bytes(
    launch: Callable, tmp_path: Path, code: str, scale: float
) -> None:
    names = ("one", "two")
    for process in [
        launch("-c", code, "abacus-mini", tmp_path / n, "--scale", scale) for n in names
    ]:
        ended = process.ended()
        assert ended.code == 0, ended.err
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert "model.safetensors" in files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "one")
    assert model.dtype == torch.bfloat16


def test_a_saved_tokenizer_gives_every_character_and_tag_one_token(tmp_path: Path) -> None:
    abacus_tokenizer.build().save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    text = "<think>2+2*6=14\n</think><answer>14</answer>"
    ids = tokenizer(text).input_ids
    assert len(ids) == 4 + len("2+2*6=14\n") + len("14")
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.unk_token_id not in ids
    assert tokenizer("2×3").input_ids == tokenizer("2*3").input_ids


@pytest.mark.parametrize("name", ["abacus", "abacus-mini", "abacus-reasoner", "abacus-judge"])
def test_a_server_tells_a_thought_that_has_no_end_from_the_end_of_the_turn(name: str) -> None:
    tokenizer, _ = load_tokenizer(resolve(name))
    for turn in ("<think>2+12", "<think>2+12<|end|>"):
        assert tokenizer.parse_response(turn, prefix="")["reasoning_content"] == "2+12"
    both = tokenizer.parse_response("<think>2</think><answer>2</answer><|end|>", prefix="")
    assert (both["reasoning_content"], both["content"]) == ("2", "<answer>2</answer>")


def test_orthogonalised_matrices_have_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((16, 40), (40, 16), (24, 24)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
        assert values.max() < 1.3
        assert values.median() > 0.6
