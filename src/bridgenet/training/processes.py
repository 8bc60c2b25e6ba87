"""A network on several processes."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from timm.layers import convert_sync_batchnorm
from torch import nn

from bridgenet.model.bridgenet import BridgeNet


def distribute(network: BridgeNet, accelerator: Accelerator) -> nn.Module:
    """The network as wrapped for data-parallel training, its batch norms synchronised on GPUs (in place)."""
    if accelerator.num_processes > 1:
        if accelerator.device.type == "cuda":
            convert_sync_batchnorm(network)  # timm's knows its batch norms that hold an activation
        elif accelerator.is_main_process:
            print("note: PyTorch synchronises batch norms on GPUs only: each process keeps its own statistics here")
    return accelerator.prepare(network)


def share_statistics(network: BridgeNet, accelerator: Accelerator) -> None:
    """Give all processes the first one's batch statistics, as CPUs keep local ones. A collective call."""
    if accelerator.num_processes > 1:
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, src=0)
