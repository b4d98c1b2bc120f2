"""How a model is spoken to: what its tokenizer, chat template and configuration say of that.

The one place that knows of beginnings of sequence, of tokens that are no text, of templates that
take no system message or want turns by turns, of what ends a turn, and of how much a model can
read. What can be mended is mended in the template itself, so that sampling, training, TRL and
whoever takes up the saved model all see the same prompt. Leaves out tools and content in parts.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reasonkit.answers.reading import THOUGHTS
from reasonkit.errors import RefusedError
from reasonkit.types import Example, Message

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

PLAIN_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ message['role'].capitalize() + ': ' + message['content'] + '\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ 'Assistant: ' }}{%- endif -%}"
)
"""For tokenizers that bring none: a line a message, the assistant's opened."""

NO_TEMPLATE = "has no chat template"
"""In the remark on a model for which `PLAIN_TEMPLATE` stands in."""

JOINED = (
    "{%%- set joined = namespace(turns=[]) -%%}"
    "{%%- for message in messages -%%}"
    "{%%- set role = %s -%%}"
    "{%%- if joined.turns and joined.turns[-1]['role'] == role -%%}"
    "{%%- set said = joined.turns[-1]['content'] + '\n\n' + message['content'] -%%}"
    "{%%- set joined.turns = joined.turns[:-1] + [{'role': role, 'content': said}] -%%}"
    "{%%- else -%%}"
    "{%%- set joined.turns = joined.turns + [{'role': role, 'content': message['content']}] -%%}"
    "{%%- endif -%%}"
    "{%%- endfor -%%}"
    "{%%- set messages = joined.turns -%%}"
)
"""Goes before a template: messages in a row that are of one role become one turn."""

AS_IT_IS = "message['role']"
SYSTEM_AS_USER = "'user' if message['role'] == 'system' else message['role']"
"""A message's role in `JOINED`."""

SYSTEM: Message = {"role": "system", "content": "Be brief."}
USER: Message = {"role": "user", "content": "The first question?"}
ASSISTANT: Message = {"role": "assistant", "content": "The completion."}
AGAIN: Message = {"role": "user", "content": "The second question?"}
ANY_CHAT = ([SYSTEM, USER, ASSISTANT, AGAIN], [SYSTEM, USER, AGAIN])
ONE_QUESTION = ([SYSTEM, USER],)
"""What templates are tried on: the most that can be asked of one, and the least."""

MEANING = re.compile(r"think|thought|reason|reflect|answer|solution", re.IGNORECASE)
"""Tokens of a template that say something wherever they stand."""

OPENED_THOUGHT = re.compile(rf"(?:{'|'.join(re.escape(opening) for opening, _ in THOUGHTS)})\s*\Z")

MARKED = re.compile(r"<[/|a-z][^<>\n]*>|\[/?[a-z_]+\]|/(no_?)?think", re.IGNORECASE)
"""What may mean something to a template: tags, and switches for thoughts."""

TOGETHER = 1024
"""Prompts that are written at once."""

SWITCHES = ("enable_thinking", "thinking")
"""What templates of models that think or don't call it to."""

NAMED = ("bos", "eos", "pad", "unk", "sep", "cls", "mask")

POSITIONS = (
    "max_position_embeddings",
    "n_positions",
    "n_ctx",
    "max_seq_len",
    "max_sequence_length",
)
"""What configurations call the number of tokens that a model is made for."""


def settle(name: str, tokenizer: PreTrainedTokenizerBase) -> str:
    """Makes a tokenizer's template one that takes any chat, where that can be done.

    Args:
        name: of the model, for errors.

    Returns:
        A remark for the user; empty where there is nothing to say.

    Raises:
        RefusedError: the template has an error, or leaves out what a user says.
    """
    if tokenizer.chat_template is None:
        tokenizer.chat_template = _begin(tokenizer) + PLAIN_TEMPLATE
        return f"{name} {NO_TEMPLATE}: a plain one is used, lines of `User: …` and `Assistant: …`"
    try:
        written = tokenizer.get_chat_template()
    except ValueError as error:
        raise RefusedError(f"{name}: none of its chat templates is called default") from error
    folding = JOINED % SYSTEM_AS_USER + written
    for chats in (ANY_CHAT, ONE_QUESTION):
        for template in (written, JOINED % AS_IT_IS + written, folding):
            if not any(_written(tokenizer, chat, template)[1] for chat in chats):
                tokenizer.chat_template = template
                said = f"{name} takes no system message: it is put before the first question"
                return said if template is folding else ""
    fault = (
        _written(tokenizer, [USER], written)[1] or _written(tokenizer, [SYSTEM, USER], written)[1]
    )
    raise RefusedError(f"{name}: its chat template can't be used: {fault}")


def _written(
    tokenizer: PreTrainedTokenizerBase,
    chat: Sequence[Message],
    template: str | None = None,
    opened: bool = False,
    thinks: bool | None = None,
) -> tuple[str, str]:
    """A chat as a template, by default the tokenizer's, writes it; and why it can't, or nothing.

    Thoughts of turns that are over may be left out, and nothing else.
    """
    options: dict[str, Any] = {"tokenize": False, "add_generation_prompt": opened}
    options |= {} if thinks is None else dict.fromkeys(SWITCHES, thinks)
    try:
        text = str(tokenizer.apply_chat_template(list(chat), chat_template=template, **options))
    except Exception as error:
        return "", " ".join(str(error).split())[:200] or type(error).__name__
    for message in chat:
        said = message["content"].rpartition("</think>")[2].strip()
        if said not in text:
            return text, f"it leaves out what the {message['role']} says, {said[:80]!r}"
    return text, ""


def _begin(tokenizer: PreTrainedTokenizerBase) -> str:
    """What the tokenizer puts before every text, as the start of a template."""
    bare = tokenizer("a", add_special_tokens=False).input_ids
    whole = tokenizer("a").input_ids
    starts = range(len(whole) - len(bare) + 1)
    k = next((k for k in starts if whole[k : k + len(bare)] == bare), 0)
    begin = "".join(tokenizer.convert_ids_to_tokens(whole[:k]))
    return "{{ " + json.dumps(begin, ensure_ascii=False) + " }}" if begin else ""


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]
) -> tuple[list[list[int]], list[str]]:
    """Token ids of each prompt, and what of the answer it holds: a thinking tag that its template
    has already opened, and what an assistant's message at the end has begun.

    Raises:
        RefusedError: the template refuses one of them, or leaves a part of it out.
    """
    texts, opened = [], []
    for example in examples:
        last = example.messages[-1]
        begun = last["content"] if last["role"] == "assistant" else ""
        asked = example.messages[:-1] if begun else example.messages
        text, fault = _written(tokenizer, asked, opened=True, thinks=example.thinks)
        if fault:
            raise RefusedError(
                f"{example.task}: {example.id}: the model's chat template can't write this prompt: "
                f"{fault}"
            )
        tag = m.group() if (m := OPENED_THOUGHT.search(text)) else ""
        begun = begun.removeprefix(tag).removeprefix(tag.rstrip())
        texts.append(text + begun)
        opened.append(tag + begun)
    # What begins every sequence is a part of the template, and would stand there twice.
    ids = tokenizer(texts, add_special_tokens=False).input_ids if texts else []
    return ids, opened


def each_prompt(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]
) -> Iterator[tuple[list[int], str]]:
    """What `encode_prompts` gives, one by one: of a long list a part is in memory at a time."""
    for start in range(0, len(examples), TOGETHER):
        yield from zip(*encode_prompts(tokenizer, examples[start : start + TOGETHER]), strict=True)


def surely_fits(tokenizer: PreTrainedTokenizerBase, limit: int) -> Callable[[Example], bool]:
    """Tells of a prompt, without reading it, that it has no more than so many tokens; False where
    that can't be told.

    A character of ASCII is a token at most, and what a template writes beside what is said is
    tried once for each order of roles. It can't be told where there may be what a template leaves
    out or writes in its own way (`MARKED`), nor of an answer that has begun.
    """
    beside: dict[Hashable, int] = {}

    def fits(example: Example) -> bool:
        said = "".join(message["content"] for message in example.messages)
        roles = tuple(message["role"] for message in example.messages)
        if not said.isascii() or roles[-1] == "assistant" or MARKED.search(said):
            return False
        form = (roles, example.thinks)
        if form not in beside:
            brief: list[Message] = [{"role": role, "content": "a"} for role in roles]
            text, fault = _written(tokenizer, brief, opened=True, thinks=example.thinks)
            beside[form] = limit + 1 if fault else len(text.encode())
        return beside[form] + len(said) <= limit

    return fits


def text_of(tokenizer: PreTrainedTokenizerBase, ids: Iterable[int]) -> str:
    """What a model has said: its tokens without those that are no text (`controls`)."""
    left_out = controls(tokenizer)
    return str(tokenizer.decode([id for id in ids if id not in left_out]))


def controls(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids of the tokens that are no text: padding, beginnings, ends, and what marks turns.

    A tag is text, whether the tokenizer calls it special or not.
    """
    return _read(tokenizer, str(tokenizer.chat_template))[0]


def turn_end(tokenizer: PreTrainedTokenizerBase) -> int:
    """Id of the token that the template puts behind what an assistant says.

    The tokenizer's own end of sequence where that is none.
    """
    template, end = tokenizer.chat_template, tokenizer.eos_token_id
    return end if template is None else _read(tokenizer, str(template))[1]


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> str:
    """The text of that token."""
    return str(tokenizer.convert_ids_to_tokens(turn_end(tokenizer)))


@functools.lru_cache(maxsize=16)
def _read(tokenizer: PreTrainedTokenizerBase, template: str) -> tuple[frozenset[int], int]:
    """The tokens that are no text, and which one ends a turn; they go with the template."""
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    special |= set(tokenizer.all_special_ids)
    named = {getattr(tokenizer, f"{name}_token_id") for name in NAMED} - {None}
    said = {id for id in special if MEANING.search(str(tokenizer.convert_ids_to_tokens(id)))}
    added = tokenizer.added_tokens_decoder.keys() | special
    end = tokenizer.eos_token_id
    probed = ([SYSTEM, USER, ASSISTANT, AGAIN], [USER, ASSISTANT, AGAIN], [USER, ASSISTANT])
    turns = next((chat for chat in probed if not _written(tokenizer, chat)[1]), None)
    if turns is None or _written(tokenizer, [USER, ASSISTANT])[1]:
        return frozenset(named), end

    def tokens(chat: list[Message], opened: bool) -> list[int]:
        text, _ = _written(tokenizer, chat, opened=opened)
        text = text if opened else text.rpartition(ASSISTANT["content"])[2]
        return list(tokenizer(text, add_special_tokens=False).input_ids)

    behind = tokens([USER, ASSISTANT], False)
    end = next((id for id in behind if id in added and id not in said), end)
    marks = {id for id in (*tokens(turns, True), *behind) if id in special}
    return frozenset({*named, end} | marks - said), end


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Ids of all the tokens that end a completion: by the model's files, and by the template."""
    found = {tokenizer.eos_token_id, turn_end(tokenizer)}
    for config in (model.generation_config, model.config.get_text_config()):
        ids = getattr(config, "eos_token_id", None)
        found |= set(ids) if isinstance(ids, list | tuple) else {ids}
    return {int(id) for id in found if id is not None}


def save_ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Writes into the model what ends its completions, for TRL and whoever samples it later.

    Raises:
        RefusedError: nothing does.
    """
    if turn_end(tokenizer) is None:
        raise RefusedError(f"{model.name_or_path}: its tokenizer has no end-of-sequence token")
    ends = [turn_end(tokenizer), *sorted(end_tokens(model, tokenizer) - {turn_end(tokenizer)})]
    model.generation_config.eos_token_id = ends if len(ends) > 1 else ends[0]


def readable(config: PreTrainedConfig) -> int | None:
    """How many tokens a model can read at most; None where only its quality has a limit.

    Positions that are rotations or slopes have no end; those that are looked up in a table have.
    """
    text = config.get_text_config()
    endless = getattr(text, "rope_parameters", None) or getattr(text, "alibi", False)
    return None if endless else positions(config)


def positions(config: PreTrainedConfig) -> int | None:
    """For how many tokens a model is made; None where its configuration doesn't tell."""
    text = config.get_text_config()
    named: list[Any] = [getattr(text, name, None) for name in POSITIONS]
    return next((n for n in named if isinstance(n, int) and n > 0), None)


def require_rows(name: str, tokenizer: PreTrainedTokenizerBase, rows: int) -> None:
    """That there is a row of the embedding for every token; padding takes that of another.

    Raises:
        RefusedError: there is none for a token that a text can have.
    """
    beyond = {id: token for token, id in tokenizer.get_vocab().items() if id >= rows}
    end = turn_end(tokenizer)
    if beyond.keys() == {tokenizer.pad_token_id} != {end}:
        tokenizer.pad_token_id = end
    elif beyond:
        raise RefusedError(
            f"{name}: its tokenizer, of {len(tokenizer)} tokens, doesn't fit its weights, which "
            f"know {rows}: {beyond[min(beyond)]!r} has none; call resize_token_embeddings on the "
            "model and save it, or leave the added tokens out"
        )
