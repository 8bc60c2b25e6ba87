"""The decoder's ways of saving work and memory change no number."""

from __future__ import annotations

import pytest
import torch

from bridgenet.losses import MultiTaskLoss
from bridgenet.model.decoders.bridgenet.tfr import RefinerBlock
from bridgenet.model.fast import accelerate_network
from bridgenet.model.fast.refiner import SplitBlock
from tests.model.networks import build, decoder, images, targets


def trained_once(*, accelerated: bool = True, checkpointed: bool = False, precision=torch.float64) -> dict:
    """Gradients and running statistics after one training step's forward and backward pass."""
    network = build("resnet", 4, decoder=decoder(drop_path=0.5)).to(precision).train()
    network.decoder.set_checkpointing(checkpointed)
    if accelerated:
        accelerate_network(network)
    torch.manual_seed(3)  # drop path
    truth = {task: x.to(precision) for task, x in targets(network).items()}
    MultiTaskLoss(list(network.tasks))(network(images().to(precision)), truth).total.backward()
    return {name: x.grad for name, x in network.named_parameters()} | dict(network.named_buffers())


@pytest.mark.parametrize(
    "way", [{"accelerated": False}, {"checkpointed": True}, {"accelerated": False, "checkpointed": True}], ids=str
)
def test_gradients_and_statistics(way: dict) -> None:
    expected, got = trained_once(), trained_once(**way)
    assert set(got) == set(expected)
    for name, x in got.items():
        assert x is not None, name
        bound = 1e-10 * max(1.0, float(expected[name].abs().max()))
        assert float((x - expected[name]).abs().max()) <= bound, name


@pytest.mark.parametrize("kind", [RefinerBlock, SplitBlock])
def test_checkpointing_computes_the_blocks_again(kind: type[RefinerBlock], monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {}
    forward = kind.forward
    monkeypatch.setattr(
        kind,
        "forward",
        lambda self, *maps: (counts.__setitem__(id(self), counts.get(id(self), 0) + 1), forward(self, *maps))[1],
    )
    trained_once(accelerated=kind is SplitBlock, checkpointed=True)
    assert set(counts.values()) == {2}


def test_features_are_made_when_they_are_asked_for() -> None:
    network = accelerate_network(build("resnet", 3)).eval()
    made = []
    for task, final in network.decoder.projections.items():
        final.register_forward_hook(lambda *_, task=task: made.append(task))
    with torch.no_grad():
        features, _ = network.decoder(network.backbone(images()))
        assert (len(features), list(features), made) == (3, list(network.tasks), [])
        assert features["depth"].shape[1] == network.decoder.out_channels
    assert made == ["depth"]


def test_checkpointing_with_synchronised_norms() -> None:
    """What several GPUs train with; it counts batches on its own."""
    from bridgenet.model.decoders.bridgenet.tfr import _without_statistics

    norm = torch.nn.SyncBatchNorm(3)
    norm.num_batches_tracked.fill_(7)
    with _without_statistics([norm]):
        assert norm.momentum == 0
        norm.num_batches_tracked.add_(1)
    assert (norm.momentum, int(norm.num_batches_tracked)) == (0.1, 7)
