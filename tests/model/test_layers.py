from __future__ import annotations

import pytest
import torch

from bridgenet import UserError
from bridgenet.model.layers import ChannelNorm, join_heads, resize, split_heads, to_map, to_tokens
from tests.model.networks import build, decoder


def test_resize_keeps_what_has_the_size() -> None:
    x = torch.rand(1, 2, 3, 5)
    assert resize(x, (3, 5)) is x
    assert resize(x, (6, 7)).shape == (1, 2, 6, 7)


def test_resize_samples_pixel_centres() -> None:
    ramp = torch.arange(4.0)[None, None, None].expand(1, 1, 2, 4)
    assert resize(ramp, (2, 8))[0, 0, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


def test_tokens_and_heads_are_undone() -> None:
    x = torch.rand(2, 6, 3, 4)
    tokens = to_tokens(x)
    assert tokens.shape == (2, 12, 6)
    assert torch.equal(tokens[:, 5], x[:, :, 1, 1])  # row by row
    assert torch.equal(to_map(tokens, (3, 4)), x)
    heads = split_heads(tokens, 2)
    assert torch.equal(heads[:, 1], tokens[..., 3:])
    assert torch.equal(join_heads(heads), tokens)


def test_channel_norm() -> None:
    x = torch.rand(2, 16, 3, 4) * 5
    normed = ChannelNorm(16, eps=0.0)(x)
    torch.testing.assert_close(normed.mean(dim=1), torch.zeros(2, 3, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.std(dim=1, unbiased=False), torch.ones(2, 3, 4))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"embed_dim": 15}, "embed_dim is 15"),
        ({"embed_dim": 16, "extra_channels": 4}, "divisible by 8"),
        ({"refine_depth": 0}, "refine_depth is 0"),
        ({"refine_depth": [1, 2]}, r"refine_depth is \[1, 2\]"),
        ({"dilations": []}, r"dilations is \[\]"),
        ({"dilations": [[1], [1]]}, "dilations is"),
        ({"dilations": [0]}, r"dilations is \[0\]"),
        ({"num_outputs": {}}, "at least one task"),
    ],
)
def test_sizes_that_make_no_network(changes: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        build(**changes)


def test_dilations_are_repeated_or_given_per_stage() -> None:
    def dilations(**changes) -> list[list[int]]:
        stages = build(num_tasks=1, **changes).decoder.stages
        return [[block.depthwise.dilation[0] for block in stage.tfr.chains["semseg"]] for stage in stages]

    assert dilations(refine_depth=4, dilations=[1, 2, 5]) == [[1, 2, 5, 1]] * 3
    assert dilations(refine_depth=[1, 2, 3], dilations=[[1], [2, 3], [1, 2, 5]]) == [[1], [2, 3], [1, 2, 5]]


def test_drop_path_grows_to_its_rate() -> None:
    network = build("internimage", drop_path=0.3, decoder=decoder(refine_depth=3, drop_path=0.2))
    chain = network.decoder.stages[0].tfr.chains["depth"]
    assert [block.drop_path.drop_prob for block in chain] == pytest.approx([0, 0.1, 0.2])
    levels = [block.drop_path.drop_prob for level in network.backbone.levels for block in level.blocks]
    assert levels == pytest.approx([0, 0.1, 0.2, 0.3])
