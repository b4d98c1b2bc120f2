"""The settings of every command, declared once.

A field is declared once: its flag, YAML key, documentation and bounds are made of that. A flag
wins over the YAML file, which wins over the default. A default of None is filled in from the
model's or the task's registry entry, so that what a run records is fully resolved.
"""

from reasonkit.config.base import (
    TRACKERS,
    ZERO,
    Attention,
    CommonConfig,
    Device,
    DType,
    EngineName,
    Invocation,
    LrSchedule,
    More,
    Optimizer,
    ServerConfig,
    Shard,
    SharedConfig,
    TrainingConfig,
    UpdatesConfig,
)
from reasonkit.config.compare import CompareConfig
from reasonkit.config.distill import Distillation, DistillConfig, Only
from reasonkit.config.grpo import GrpoConfig, OnCollapse
from reasonkit.config.reading import (
    Config,
    field_types,
    from_mapping,
    read_assignment,
    read_yaml,
    require_known,
    to_mapping,
)
from reasonkit.config.sft_rl import SftRlConfig, StageName, Start
from reasonkit.config.verifier import Aggregate, VerifierConfig
from reasonkit.config.vote import VoteConfig
