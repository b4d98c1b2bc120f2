"""What a tokenizer, its template and a configuration say is known, mended or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoTokenizer,
    FalconConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MptConfig,
    OPTConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from reasonkit.errors import RefusedError
from reasonkit.models import chat
from reasonkit.models.loading import load_model, load_tokenizer
from reasonkit.models.resolving import PACKAGED, resolve
from reasonkit.types import Example

CHATML = (
    "{%- for m in messages -%}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
STRICT = (
    "{%- for m in messages -%}"
    "{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}"
    "{{ raise_exception('roles must alternate user/assistant') }}"
    "{%- endif -%}{{ '<|' + m.role + '|>' + m.content + '<|end|>' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
"""As Gemma's and Mistral's: no system message, and turns by turns."""

ALTERNATES_AFTER_SYSTEM = STRICT.replace(
    "{%- for",
    "{%- if messages[0].role == 'system' -%}{{ '<|system|>' + messages[0].content + '<|end|>' }}"
    "{%- set messages = messages[1:] -%}{%- endif -%}{%- for",
    1,
)
DROPS_SYSTEM = (
    "{%- for m in messages if m.role != 'system' -%}{{ '<|' + m.role + '|>' + m.content }}"
    "{{ '<|end|>' }}{%- endfor -%}{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
HYBRID = CHATML.replace(
    "assistant\n' }}",
    "assistant\n' }}{%- if enable_thinking is false -%}<think></think>{%- endif -%}",
)
"""As Qwen3's: it thinks unless it is told not to."""

ONLY_THE_LAST = "<|user|>{{ messages[-1].content }}<|end|><|assistant|>"


def spoken(*messages: tuple[str, str]) -> Example:
    return Example("e1", "t", tuple({"role": r, "content": c} for r, c in messages), "4")


def copied(to: Path, source: Path, edit: Callable[[Any], None] | None = None) -> Path:
    """A copy of a model's folder, with its tokenizer.json edited."""
    shutil.copytree(source, to)
    if edit is not None:
        content = json.loads((to / "tokenizer.json").read_text())
        edit(content)
        (to / "tokenizer.json").write_text(json.dumps(content))
    return to


def with_template(to: Path, template: str) -> PreTrainedTokenizerBase:
    folder = copied(to, PACKAGED / "abacus-mini")
    (folder / "chat_template.jinja").write_text(template)
    return load_tokenizer(resolve(str(folder)))[0]


def with_tokens(to: Path, source: Path, tokens: Sequence[str], template: str = "") -> Path:
    """A copy of a model with more special tokens, for which it gets rows."""
    shutil.copytree(source, to)
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    tokenizer.chat_template = template or tokenizer.chat_template
    tokenizer.save_pretrained(to)
    model = load_model(resolve(str(source)), "cpu", "float32")
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(to)
    return to


def prompt(tokenizer: PreTrainedTokenizerBase, *messages: tuple[str, str]) -> str:
    ids, _ = chat.encode_prompts(tokenizer, [spoken(*messages)])
    return str(tokenizer.decode(ids[0]))


def test_tags_that_a_tokenizer_calls_special_are_text(tmp_path: Path) -> None:
    def mark(content: dict[str, Any]) -> None:
        for token in content["added_tokens"]:
            token["special"] = True

    folder = copied(tmp_path / "m", PACKAGED / "abacus-mini", mark)
    tokenizer = load_tokenizer(resolve(str(folder)))[0]
    said = "<think>2+2=4</think><answer>4</answer>"
    ids = tokenizer(said).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "2+2=44"
    assert chat.text_of(tokenizer, ids) == said
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    user = tokenizer.convert_tokens_to_ids("<|user|>")
    assert chat.text_of(tokenizer, [pad, *ids, end, user, pad]) == said


@pytest.mark.parametrize(
    "tags",
    [("[THINK]", "[/THINK]"), ("<reflection>", "</reflection>"), ("◁plan▷", "◁/plan▷")],
)
def test_other_pairs_of_special_tags_are_text_too(
    random_qwen3: Path, tmp_path: Path, tags: tuple[str, str]
) -> None:
    folder = with_tokens(
        tmp_path / "m", random_qwen3, [*tags, "<|im_start|>", "<|im_end|>"], CHATML
    )
    tokenizer = load_tokenizer(resolve(str(folder)))[0]
    said = f"{tags[0]}she has 12{tags[1]}12"
    ids = tokenizer(f"{said}<|im_end|><|endoftext|>", add_special_tokens=False).input_ids
    assert chat.text_of(tokenizer, ids) == said


def test_a_thought_that_a_template_opens_with_a_special_tag_is_text(
    random_qwen3: Path, tmp_path: Path
) -> None:
    opens = CHATML.replace("assistant\n", "assistant\n[THINK]\n")
    tags = ["[THINK]", "[/THINK]", "<|im_start|>", "<|im_end|>"]
    tokenizer = load_tokenizer(
        resolve(str(with_tokens(tmp_path / "m", random_qwen3, tags, opens)))
    )[0]
    _, opened = chat.encode_prompts(tokenizer, [spoken(("user", "Hi"))])
    assert opened == ["[THINK]\n"]
    assert not chat.controls(tokenizer) & set(tokenizer.convert_tokens_to_ids(tags[:2]))
    assert chat.controls(tokenizer) >= set(tokenizer.convert_tokens_to_ids(tags[2:]))


def begins(source: Path, to: Path, single: str, tokens: Sequence[str]) -> PreTrainedTokenizerBase:
    folder = with_tokens(to, source, tokens)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.bos_token = tokens[0]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=single, special_tokens=[(t, tokenizer.convert_tokens_to_ids(t)) for t in tokens]
    )
    tokenizer.save_pretrained(folder)
    return load_tokenizer(resolve(str(folder)))[0]


def test_what_begins_every_text_begins_a_prompt_without_a_template_and_what_ends_it_does_not(
    random_qwen3: Path, tmp_path: Path
) -> None:
    one = begins(random_qwen3, tmp_path / "one", "<s> $A", ["<s>"])
    assert prompt(one, ("user", "12?")) == "<s>User: 12?\nAssistant: "
    two = begins(
        random_qwen3, tmp_path / "two", "[gMASK] <sop> $A </s>", ["[gMASK]", "<sop>", "</s>"]
    )
    assert prompt(two, ("user", "12?")) == "[gMASK]<sop>User: 12?\nAssistant: "
    none = load_tokenizer(resolve(str(random_qwen3)))[0]
    assert prompt(none, ("user", "12?")) == "User: 12?\nAssistant: "


def test_a_template_that_begins_the_sequence_itself_begins_it_once(
    random_qwen3: Path, tmp_path: Path
) -> None:
    written = begins(random_qwen3, tmp_path / "m", "<s> $A", ["<s>"])
    written.save_pretrained(tmp_path / "m")
    again, remark = load_tokenizer(resolve(str(tmp_path / "m")))
    assert remark == ""
    ids, _ = chat.encode_prompts(again, [spoken(("user", "12?"))])
    assert ids[0].count(again.bos_token_id) == 1 and ids[0][0] == again.bos_token_id


def test_a_system_message_is_put_before_the_first_question_where_there_can_be_none(
    tmp_path: Path,
) -> None:
    for number, template in enumerate((STRICT, DROPS_SYSTEM, ONLY_THE_LAST)):
        tokenizer = with_template(tmp_path / str(number), template)
        said = prompt(tokenizer, ("system", "Think."), ("user", "2+2?"))
        assert said == "<|user|>Think.\n\n2+2?<|end|><|assistant|>"
        assert prompt(tokenizer, ("user", "2+2?")) == "<|user|>2+2?<|end|><|assistant|>"


def test_turns_of_one_role_are_joined_only_where_they_must_be(tmp_path: Path) -> None:
    chats = ("system", "Think."), ("user", "2+2?"), ("user", "3+3?")
    strict = with_template(tmp_path / "strict", ALTERNATES_AFTER_SYSTEM)
    end = "<|end|>"
    assert prompt(strict, *chats).startswith(f"<|system|>Think.{end}<|user|>2+2?\n\n3+3?{end}")
    free = load_tokenizer(resolve("abacus-mini"))[0]
    assert (
        free.chat_template == AutoTokenizer.from_pretrained(PACKAGED / "abacus-mini").chat_template
    )
    assert "<|user|>2+2?<|end|><|user|>3+3?<|end|>" in prompt(free, *chats)


def test_a_mended_template_travels_with_the_tokenizer(tmp_path: Path) -> None:
    with_template(tmp_path / "m", STRICT).save_pretrained(tmp_path / "final")
    saved = AutoTokenizer.from_pretrained(tmp_path / "final")
    messages = list(spoken(("system", "Think."), ("user", "2+2?")).messages)
    text = saved.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|user|>Think.\n\n2+2?<|end|><|assistant|>"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{%- for m in messages -%}", "Unexpected end of template"),
        ("", "leaves out what the user says"),
        ("<|user|>Hello<|end|><|assistant|>", "leaves out what the user says"),
        ("{{ messages[0].text + '!' }}", "no attribute 'text'"),
        ("{{ raise_exception('not today') }}", "not today"),
    ],
)
def test_a_template_that_can_not_be_used_is_refused_in_a_line(
    tmp_path: Path, template: str, reason: str
) -> None:
    with pytest.raises(RefusedError, match=reason) as error:
        with_template(tmp_path / "m", template)
    assert "\n" not in str(error.value)


def test_a_prompt_that_a_template_does_not_write_whole_is_refused_by_name(tmp_path: Path) -> None:
    last = with_template(tmp_path / "last", ONLY_THE_LAST)
    turns = ("user", "2+2?"), ("assistant", "4"), ("user", "And 3+3?")
    with pytest.raises(RefusedError, match=r"t: e1: .*leaves out what the user says, '2\+2\?'"):
        chat.encode_prompts(last, [spoken(*turns)])
    strict = with_template(tmp_path / "strict", STRICT)
    with pytest.raises(RefusedError, match=r"t: e1: .*roles must alternate"):
        chat.encode_prompts(strict, [spoken(("assistant", "Hi."), ("user", "2+2?"))])


@pytest.mark.parametrize("template", [HYBRID, HYBRID.replace("enable_thinking", "thinking")])
def test_a_template_with_a_switch_for_thoughts_is_told_to_think_or_not(
    tmp_path: Path, template: str
) -> None:
    tokenizer = with_template(tmp_path / "m", template)
    asked = [replace(spoken(("user", "Hi?")), thinks=thinks) for thinks in (None, True, False)]
    texts = [tokenizer.decode(ids) for ids in chat.encode_prompts(tokenizer, asked)[0]]
    assert [text.endswith("<think></think>") for text in texts] == [False, False, True]


def test_what_ends_a_turn_under_the_template_ends_a_completion_and_is_learned(
    random_qwen3: Path, tmp_path: Path
) -> None:
    from reasonkit.training.encoding import check, encode
    from reasonkit.types import Completion, Group, Trace

    folder = with_tokens(tmp_path / "m", random_qwen3, ["<|im_start|>", "<|im_end|>"], CHATML)
    resolved = resolve(str(folder))
    tokenizer, model = load_tokenizer(resolved)[0], load_model(resolved, "cpu", "float32")
    end, turn = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
    assert tokenizer.eos_token_id == end and model.generation_config.eos_token_id == end
    assert chat.end_tokens(model, tokenizer) == {end, turn}
    model.config.eos_token_id, model.generation_config.eos_token_id = None, [7, 8]
    assert chat.end_tokens(model, tokenizer) == {7, 8, end, turn}
    chat.save_ends(model, tokenizer)
    assert model.generation_config.eos_token_id == [turn, 7, 8, end]
    asked = Group(spoken(("user", "12?")), [Completion("12", (), "stop")])
    (row,) = encode(tokenizer, [Trace(asked)])
    assert row is not None and tokenizer.decode(row.learned) == "12<|im_end|>"
    check(tokenizer, row, row.labels)


def test_how_much_a_model_can_read_is_known_by_each_of_its_names() -> None:
    assert chat.positions(GPT2Config(n_positions=128)) == 128
    assert chat.positions(OPTConfig(max_position_embeddings=96)) == 96
    assert chat.positions(MptConfig(max_seq_len=64)) == 64
    assert chat.positions(LlamaConfig(max_position_embeddings=32)) == 32
    assert chat.positions(MambaConfig()) is None


def test_only_positions_that_are_looked_up_are_a_limit() -> None:
    assert chat.readable(GPT2Config(n_positions=128)) == 128
    assert chat.readable(OPTConfig(max_position_embeddings=96)) == 96
    assert chat.readable(GPTJConfig(n_positions=64)) == 64
    for endless in (LlamaConfig(), GPTNeoXConfig(), FalconConfig(alibi=True), MambaConfig()):
        assert chat.readable(endless) is None


def test_tokens_without_a_row_are_refused_before_weights_are_read(
    random_qwen3: Path, tmp_path: Path
) -> None:
    shutil.copytree(random_qwen3, tmp_path / "m")
    tokenizer = AutoTokenizer.from_pretrained(random_qwen3)
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    rows = len(tokenizer) - 2
    with pytest.raises(RefusedError, match=rf"know {rows}: '<think>' has none"):
        load_tokenizer(resolve(str(tmp_path / "m")))


def test_a_padding_token_without_a_row_gives_way_to_one_that_has_one(
    random_qwen3: Path, tmp_path: Path
) -> None:
    shutil.copytree(random_qwen3, tmp_path / "m")
    tokenizer = AutoTokenizer.from_pretrained(random_qwen3)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(tmp_path / "m")
    loaded = load_tokenizer(resolve(str(tmp_path / "m")))[0]
    assert loaded.pad_token == "<|endoftext|>"


@pytest.mark.parametrize("tag", ["", "<think>\n"])
def test_an_answer_that_is_begun_is_gone_on_with(tag: str) -> None:
    tokenizer = load_tokenizer(resolve("abacus"))[0]
    tokenizer.chat_template += tag and "{{ '" + json.dumps(tag)[1:-1] + "' }}"
    asked = ("user", "What is 2+3?")
    (whole,), (opened,) = chat.encode_prompts(
        tokenizer, [spoken(asked, ("assistant", f"{tag}2+3="))]
    )
    (prompt,), _ = chat.encode_prompts(tokenizer, [spoken(asked)])
    assert opened == f"{tag}2+3="
    assert tokenizer.decode(whole) == tokenizer.decode(prompt) + "2+3="


def bytewise() -> PreTrainedTokenizerBase:
    """A tokenizer whose every byte is a token: none makes more of a text."""
    letters = sorted(ByteLevel.alphabet())
    bare = Tokenizer(BPE({letter: i for i, letter in enumerate(letters)}, []))
    bare.pre_tokenizer = ByteLevel(add_prefix_space=True)
    made = PreTrainedTokenizerFast(tokenizer_object=bare)
    made.chat_template = CHATML
    return made


TOKENIZERS = [load_tokenizer(resolve("abacus"))[0], bytewise()]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=["abacus", "bytes"])
@given(
    st.lists(st.sampled_from(["system", "user"]), min_size=1, max_size=3),
    st.text(max_size=30) | st.text(st.characters(max_codepoint=127), max_size=90),
    st.integers(1, 250),
)
def test_what_surely_fits_does(
    tokenizer: PreTrainedTokenizerBase, roles: list[str], text: str, limit: int
) -> None:
    example = spoken(*((role, text) for role in roles))
    if chat.surely_fits(tokenizer, limit)(example):
        assert len(chat.encode_prompts(tokenizer, [example])[0][0]) <= limit


def test_a_plain_question_surely_fits_and_what_may_be_left_out_or_grow_is_read() -> None:
    fits = chat.surely_fits(bytewise(), 100)
    assert fits(spoken(("user", "What is 2+3?")))
    assert not fits(spoken(("user", "x" * 100)))
    assert not fits(spoken(("user", "What is 2\u00d73?")))
    assert not fits(spoken(("user", "</think> What is 2+3?")))
    assert not fits(spoken(("user", "What is 2+3? /no_think")))
    assert fits(spoken(("user", "Is 2 < 3, and a<=b?")))
    assert not fits(spoken(("user", "What is 2+3?"), ("assistant", "It is")))
