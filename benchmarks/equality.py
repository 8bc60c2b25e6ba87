"""How near a network made ready for inference is to its definition, in float32 at the published size.

    python benchmarks/equality.py nyud-vit-base nyud-vit-large nyud-internimage-large pascal-internimage-large

Random weights and running statistics. Printed: the largest difference of each map, over the map's largest value.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import torch

from bridgenet import config as configuration
from bridgenet import data
from bridgenet.config.resolved import network_config
from bridgenet.model.build import build_network
from bridgenet.model.inference import optimize_for_inference


def differences(got: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> str:
    return "  ".join(f"{task} {float((got[task] - x).abs().max() / x.abs().max()):.1e}" for task, x in expected.items())


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="+")
    for preset in parser.parse_args().presets:
        config = configuration.load(preset)
        torch.manual_seed(0)
        network = build_network(network_config(config)).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
        images = torch.randn(1, 3, *data.info(config.data.name).size)
        expected = network(images)
        got = optimize_for_inference(network)(images)
        print(f"{preset}: {differences(got.logits, expected.logits)}")
        print(f"  intermediate: {differences(got.intermediate_logits, expected.intermediate_logits)}")


if __name__ == "__main__":
    main()
