"""The bodies of requests and answers, as OpenAI's API has them.

What would change an answer and isn't done here is refused rather than passed over; other fields
that aren't known are passed over, since clients send many.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _whole(text: str) -> str:
    """A text without half characters, which JSON can spell and no tokenizer takes."""
    text.encode()
    return text


Unicode = Annotated[str, AfterValidator(_whole)]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
Zero = Annotated[float, Field(ge=0, le=0)]
Nothing = Annotated[list[Any], Field(max_length=0)]
Tokens = Annotated[int, Field(ge=1, le=1 << 31)]
Finish = Literal["stop", "length"]


class Part(BaseModel):
    """A part of a message."""

    type: Literal["text"]
    text: Unicode


class ChatMessage(BaseModel):
    """A turn of a conversation; what a model thought in it is left out."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Unicode | list[Part] | None = None

    def plain(self) -> dict[str, str]:
        """As a model's chat template takes it."""
        role = "system" if self.role == "developer" else self.role
        said = self.content or ""
        text = said if isinstance(said, str) else "".join(part.text for part in said)
        return {"role": role, "content": text}


class StreamOptions(BaseModel):
    """What is streamed beside the text."""

    include_usage: bool = False


class Text(BaseModel):
    """The only format of answers there is."""

    type: Literal["text"]


class Request(BaseModel):
    """What requests of both kinds have."""

    model_config = ConfigDict(allow_inf_nan=False)

    model: Unicode = Field(description="NAME, or NAME:STRATEGY@SAMPLES.")
    max_tokens: Tokens | None = Field(None, description="The server has a limit too.")
    temperature: float | None = Field(None, ge=0, le=5)
    top_p: float | None = Field(None, gt=0, le=1)
    n: int | None = Field(None, ge=1, le=1024, description="Choices; of a strategy only one.")
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Unicode | Annotated[list[Unicode], Field(max_length=8)] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    frequency_penalty: Zero | None = Field(None, description="Not done here.")
    presence_penalty: Zero | None = Field(None, description="Not done here.")
    logit_bias: Annotated[dict[str, Any], Field(max_length=0)] | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end an answer."""
        found = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in found if text)

    @property
    def limit(self) -> int | None:
        """Tokens of a completion, as asked for."""
        return self.max_tokens

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the usage."""
        return bool(self.stream_options and self.stream_options.include_usage)


class ChatRequest(Request):
    """A conversation to go on with."""

    messages: list[ChatMessage] = Field(min_length=1, max_length=4096)
    max_completion_tokens: Tokens | None = None
    reasoning_effort: Effort | None = Field(
        None, description="Of a plain model its thought's share of the tokens, else more samples."
    )
    continue_final_message: bool | None = Field(
        None, description="Goes on with the assistant's last message; of a plain model alone."
    )
    logprobs: Literal[False] | None = None
    tools: Nothing | None = None
    functions: Nothing | None = None
    response_format: Text | None = None

    @property
    def open(self) -> bool:
        """Whether it leaves to the server how it is answered, be it by a thought or votes."""
        said = self.reasoning_effort or self.continue_final_message or self.stops
        return not said and self.n in (None, 1)

    @property
    def limit(self) -> int | None:
        """As of `Request`."""
        return self.max_completion_tokens or self.max_tokens


class CompletionRequest(Request):
    """A text, or token ids, to go on with; of a plain model alone."""

    prompt: (
        Unicode
        | Annotated[list[Unicode], Field(min_length=1, max_length=128)]
        | Annotated[list[int], Field(min_length=1)]
        | Annotated[list[list[int]], Field(min_length=1, max_length=128)]
    )
    logprobs: Literal[0] | None = None
    echo: Literal[False] | None = None
    suffix: Literal[""] | None = None
    best_of: Literal[1] | None = None


class Usage(BaseModel):
    """Tokens; those of all samples of a strategy."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Votes(BaseModel):
    """One answer among the samples, by votes."""

    answer: str
    votes: int
    share: float
    confidence: float | None
    score: float | None


class Extra(BaseModel):
    """What OpenAI's API has no place for.

    Attributes:
        way: how the samples came about that it was elected among: as asked, thinking, at once ….
        elected: the answer that won, out of the text that gives it.
        sureness: the posterior probability that it is the likelier of the two first.
        confidence: the geometric mean of the token probabilities of what is said.
        others, blank: votes for answers that aren't listed, and samples without any.
    """

    strategy: str | None = None
    way: str | None = None
    samples: int
    temperature: float
    confidence: float | None = None
    elected: str | None = None
    sureness: float | None = None
    answers: list[Votes] = []
    others: int = 0
    blank: int = 0


class Said(BaseModel):
    """What an assistant says, its thought apart."""

    role: Literal["assistant"] = "assistant"
    content: str
    reasoning_content: str | None = None


class Choice(BaseModel):
    """One answer."""

    index: int
    message: Said
    finish_reason: Finish
    logprobs: None = None


class TextChoice(BaseModel):
    """One continuation."""

    index: int
    text: str
    finish_reason: Finish | None
    logprobs: None = None


class Answer(BaseModel):
    """What answers of both kinds have."""

    id: str = Field(default_factory=lambda: uuid4().hex)
    created: int = Field(default_factory=lambda: int(time.time()))
    model: str
    usage: Usage
    reasonkit: Extra


class ChatAnswer(Answer):
    """An answer to a conversation."""

    object: Literal["chat.completion"] = "chat.completion"
    choices: list[Choice]


class CompletionAnswer(Answer):
    """Continuations."""

    object: Literal["text_completion"] = "text_completion"
    choices: list[TextChoice]


class ModelCard(BaseModel):
    """A model that can be asked."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "reasonkit"
    description: str


class ModelList(BaseModel):
    """All of them, the model's own name first."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class Fault(BaseModel):
    """What was wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class Faulty(BaseModel):
    """An answer that is an error."""

    error: Fault


class Health(BaseModel):
    """Whether it answers."""

    status: Literal["ok"] = "ok"
    model: str
