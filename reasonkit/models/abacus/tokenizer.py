"""The character-level tokenizer of the abacus family and its chat template."""

from __future__ import annotations

import string

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from reasonkit.answers.reading import TAGS

SPECIAL = {"pad_token": "<|pad|>", "unk_token": "<|unk|>", "eos_token": "<|end|>"}
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
CHARACTERS = "\n" + "".join(sorted(set(string.printable) - set(string.whitespace) | {" "}))
SYNONYMS = {"×": "*", "·": "*", "−": "-", "–": "-", "’": "'"}

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
RESPONSE_TEMPLATE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|assistant|>",
    "fields": {
        "reasoning_content": {
            "open": "<think>",
            "close_pattern": r"</think>|<\|end\|>",
            "content": "text",
        },
        "content": {"close_pattern": r"<\|end\|>", "content": "text"},
    },
}
"""How a server tells thought and answer apart. Without it, ``transformers serve`` takes Qwen3's
template for every model of its architecture, and gives prompts back as answers."""


def build() -> PreTrainedTokenizerFast:
    """One token a printable ASCII character, plus roles and tags.

    The tags are ordinary added tokens, not special ones, so that they survive decoding.
    """
    specials = [*SPECIAL.values(), *ROLES]
    vocabulary = [*specials, *TAGS, *CHARACTERS]
    tokenizer = Tokenizer(
        models.WordLevel({token: i for i, token in enumerate(vocabulary)}, SPECIAL["unk_token"])
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(odd, plain) for odd, plain in SYNONYMS.items()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(specials)
    tokenizer.add_tokens(list(TAGS))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        additional_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        response_template=RESPONSE_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=512,
        **SPECIAL,
    )
