"""What two processes compute, for test_processes.py: run by torchrun, writes to the folder given.

The first step's gradients with frozen batch statistics (CPUs have no synchronised batch norm), then a whole run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from bridgenet.config.settings import LossSettings
from bridgenet.training.prepare import Prepared, prepare
from bridgenet.training.run import train
from tests.training.tiny import tiny_config


def first_gradients(run: Prepared) -> dict[str, torch.Tensor]:
    """Gradients of the first step's joint batch, without clipping; on every process the same."""
    step, found = run.step, {}
    model = step.model.eval()
    model.train = lambda mode=True: model  # type: ignore[method-assign]  # frozen statistics, no drop path
    step.grad_clip = 1e9
    step.optimizer.register_step_pre_hook(
        lambda *_: found.update(
            {name: p.grad.clone() for name, p in run.network.named_parameters() if p.grad is not None}
        )
    )
    torch.manual_seed(run.accelerator.process_index)  # the first process's order of tasks counts
    step(run.batches())
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    root, out = map(Path, sys.argv[1:])
    for weighting, accumulate in (("fixed", 1), ("fixed", 2), ("pcgrad", 1), ("pcgrad", 2)):
        config = tiny_config(root, batch_size=1, accumulate=accumulate, loss=LossSettings(weighting=weighting))
        run = prepare(config, out / weighting, device="cpu")
        torch.save(first_gradients(run), out / f"gradients-{weighting}-{accumulate}-{run.accelerator.process_index}.pt")
    run.accelerator.wait_for_everyone()
    config = tiny_config(root, batch_size=1, precision="bfloat16")
    config.data.size = config.data.eval_size = (64, 96)
    train(config, out / "run", device="cpu")
