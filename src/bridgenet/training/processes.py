"""Data-parallel training on several processes."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from timm.layers import convert_sync_batchnorm
from torch import nn

from bridgenet.model.bridgenet import BridgeNet


def distribute(network: BridgeNet, accelerator: Accelerator) -> nn.Module:
    """Wrap the network for data-parallel training. On GPUs its batch norms are replaced by synchronised ones, in place."""
    if accelerator.num_processes > 1:
        if accelerator.device.type == "cuda":
            convert_sync_batchnorm(network)  # timm's version supports its batch norms with an activation
        elif accelerator.is_main_process:
            print("note: PyTorch synchronises batch norms on GPUs only: each process keeps its own statistics here")
    return accelerator.prepare(network)


def share_statistics(network: BridgeNet, accelerator: Accelerator) -> None:
    """Broadcast the first process's batch statistics, which are local on CPUs. A collective call."""
    if accelerator.num_processes > 1:
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, src=0)
