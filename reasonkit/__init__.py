"""reasonkit: make a language model reason, four ways, on one set of models, tasks and rewards."""

import os

# Libraries below us report usage to their makers unless told not to; the user may say otherwise.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
