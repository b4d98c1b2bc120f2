"""A random model with a BPE tokenizer, and the CLI called in-process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest

# A machine that is busy is no failure: no test asserts a time.
hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def reasonkit(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Calls the command line as the console script does."""
    from reasonkit import cli

    def call(*argv: object) -> Outcome:
        monkeypatch.setattr("sys.argv", ["reasonkit", *map(str, argv)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        written = capsys.readouterr()
        return Outcome(left.value.code or 0, written.out, written.err)

    return call


@pytest.fixture(scope="session")
def random_qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random-weights Qwen3 and a byte-level BPE tokenizer without chat template."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        ["What is the number of apples that she has? #### 12"] * 3, vocab_size=300
    )
    bpe.add_special_tokens(["<|endoftext|>", "<|pad|>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token="<|endoftext|>", pad_token="<|pad|>"
    )
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )
    folder = tmp_path_factory.mktemp("random-qwen3")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def gsm8k_like(tmp_path: Path) -> Path:
    """A file in GSM8K's format."""
    path = tmp_path / "problems.jsonl"
    with path.open("w") as file:
        for i in range(120):
            answer = f"She has {i}+1=<<{i}+1={i + 1}>>{i + 1}.\n#### {i + 1}"
            question = f"Ann has {i} apples and finds one. How many apples has she?"
            file.write(json.dumps({"question": question, "answer": answer}) + "\n")
    return path
