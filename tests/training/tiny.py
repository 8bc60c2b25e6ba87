"""A run so small that a step takes milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridgenet.config.settings import DataSettings, NetworkSettings, OptimizerSettings, RunConfig
from bridgenet.model.description import Part


def tiny_config(root: Path, **changes: Any) -> RunConfig:
    """Six steps of batch 2 at 32×32 on the data below `root`, with drop path."""
    settings: dict[str, Any] = {
        "network": NetworkSettings(
            backbone=Part(name="test_resnet"),
            pretrained=False,
            decoder=Part(name="bridgenet", embed_dim=8, extra_channels=8, refine_depth=2, drop_path=0.3),
            drop_path=0.1,
        ),
        "data": DataSettings(root=str(root), size=(32, 32), eval_size=(32, 32), workers=0),
        "optimizer": OptimizerSettings(name="adamw", lr=1e-3),
        "steps": 6,
        "batch_size": 2,
        "evaluate_every": 3,
        "evaluation_batch_size": 2,
        "save_every": 2,
        "log_every": 1,
        "trackers": [],
        "log_images": 0,
    }
    return RunConfig(**settings | changes)
