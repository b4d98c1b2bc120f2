"""What the registry says of real models agrees with their published configurations."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

from reasonkit.models import MODELS
from reasonkit.models.loading import outline


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"abacus-judge"}))
def test_the_parameters_of_an_entry_follow_from_its_shape(name: str) -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(outline(MODELS[name]))
    assert sum(p.numel() for p in model.parameters()) == MODELS[name].parameters
