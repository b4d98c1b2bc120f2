"""vLLM in several processes of a launcher, each of which is one of its workers."""

from __future__ import annotations

import secrets
from pathlib import Path

from vllm.distributed import parallel_state
from vllm.v1.executor.uniproc_executor import ExecutorWithExternalLauncher

from reasonkit import processes


def keep_group() -> None:
    """Has the processes' group outlive vLLM, which would take it down with itself."""
    parallel_state.destroy_distributed_environment = lambda: None


class Executor(ExecutorWithExternalLauncher):  # type: ignore[misc]
    """vLLM's own on a CPU, whose workers share memory under a name that no other run has.

    By itself it takes one name for all runs of a machine, also of those that were killed.
    """

    def _init_executor(self) -> None:
        self.name = processes.from_main(lambda: secrets.token_hex(8))
        super()._init_executor()
        processes.gathered(None)
        # Once all have it, it needs no name, and goes as they go.
        for path in Path("/dev/shm").glob(f"{self.name}-*"):
            path.unlink(missing_ok=True)

    def _distributed_args(self) -> tuple[str, int, int]:
        method, rank, local_rank = super()._distributed_args()
        # What stands behind the last colon is taken for a name.
        return f"{method}:{self.name}", rank, local_rank
