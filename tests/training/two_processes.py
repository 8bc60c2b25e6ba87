"""What two processes compute, for test_processes.py: run by torchrun, writes to the folder given.

The first step's gradients with frozen batch statistics (CPUs have no synchronised batch norm), then a whole run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from bridgenet.data.batches import to_device
from bridgenet.training.run import Run
from tests.training.tiny import tiny_config


def first_gradients(run: Run) -> dict[str, torch.Tensor]:
    """Gradients of the first step's joint batch, without clipping; on every process the same."""
    run.model.eval()
    batch = to_device(next(iter(run._loader())), "cpu", list(run.network.tasks))
    output = run.model(batch["image"])
    run.criterion(output, batch).total.backward()
    return {name: p.grad.clone() for name, p in run.network.named_parameters() if p.grad is not None}


if __name__ == "__main__":
    torch.set_num_threads(1)
    root, out = map(Path, sys.argv[1:])
    run = Run(tiny_config(root, batch_size=1), out / "gradients", resume=False, overwrite=False, device="cpu")
    gradients = first_gradients(run)
    if run.rank == 0:
        torch.save(gradients, out / "gradients.pt")
    run.accelerator.wait_for_everyone()
    config = tiny_config(root, batch_size=1, precision="bfloat16")
    config.data.size = config.data.eval_size = (64, 96)
    Run(config, out / "run", resume=False, overwrite=False, device="cpu").train()
