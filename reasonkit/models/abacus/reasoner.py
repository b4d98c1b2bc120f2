"""Makes ``abacus-reasoner`` of a run: ``python -m reasonkit.models.abacus.reasoner RUN DIR``.

The run that ships is ``reasonkit sft-rl --seed 0`` (``recipes/sft-rl/abacus-arithmetic.yaml``). Its
final weights are rounded to bfloat16; leaves out everything else that a run holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from reasonkit.models.abacus import tokenizer as abacus_tokenizer
from reasonkit.models.loading import load_model
from reasonkit.models.resolving import resolve


def main(run: Path, directory: Path) -> None:
    """Saves the final model of a run as bfloat16 safetensors with its tokenizer."""
    load_model(resolve(str(run)), "cpu", "bfloat16").save_pretrained(directory)
    abacus_tokenizer.build().save_pretrained(directory)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("directory", type=Path)
    main(**vars(parser.parse_args()))
