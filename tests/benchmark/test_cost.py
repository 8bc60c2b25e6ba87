"""Counted parameters, multiply-adds and bytes, against those worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bridgenet import config as configuration
from bridgenet.benchmark.cases import Case
from bridgenet.benchmark.cost import _Bytes, count, description, gmac_of
from bridgenet.model.build import build_network


def test_parameters_are_those_of_the_network(case: Case) -> None:
    counted = count(case.config)
    network = build_network(description(case.config))
    assert counted.parameters == sum(p.numel() for p in network.parameters())
    assert counted.backbone_parameters == sum(p.numel() for p in network.backbone.parameters())
    assert counted.weight_bytes == 4 * counted.parameters


def test_bytes_are_operands_and_results_of_products() -> None:
    with torch.device("meta"):
        layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(8, 2, 1, bias=False))
        image = torch.empty(1, 3, 10, 12)
    with torch.no_grad(), _Bytes() as moved, FlopCounterMode(display=False) as counter:
        layers(image)
    assert counter.get_total_flops() == 2 * 120 * (3 * 8 * 9 + 8 * 2)
    assert moved.total == 4 * ((3 + 8) * 120 + 3 * 8 * 9 + (8 + 2) * 120 + 8 * 2)


def test_multiply_adds_grow_with_the_image(case: Case) -> None:
    small, large = count(case.config, (32, 32)), count(case.config, (64, 64))
    assert large.gmac == pytest.approx(4 * small.gmac, rel=0.15)  # what is pooled to a fixed size does not grow
    assert large.activation_bytes > 3 * small.activation_bytes
    assert large.weight_bytes == small.weight_bytes


def test_multiply_adds_are_linear_in_the_number_of_tasks(case: Case) -> None:
    """The paper's claim. Tasks beyond the data set's four are copies, so n + 4 and n differ by the same four."""
    first, second, third = (count(case.config, num_tasks=n).gmac for n in (1, 5, 9))
    assert third - second == pytest.approx(second - first, rel=1e-3)
    assert second > first


def test_tasks_beyond_those_there_are_get_names_of_their_own(case: Case) -> None:
    outputs = description(case.config, 6).num_outputs
    assert list(outputs) == ["semseg", "depth", "normals", "edge", "semseg_2", "depth_2"]
    assert outputs["semseg_2"] == outputs["semseg"] == 40
    assert list(description(case.config, 2).num_outputs) == ["semseg", "depth"]


def test_reference_counts_where_it_was_counted(case: Case) -> None:
    counted = count(case.config)
    assert gmac_of(case, counted) == (counted.gmac, "counted")
    preset = dataclasses.replace(
        case, network="nyud-vit-base", config=configuration.load("nyud-vit-base"), size=(448, 576)
    )
    assert gmac_of(preset, counted) == (369, "reference")
    for change in ({"size": (448, 448)}, {"num_tasks": 4}):
        assert gmac_of(dataclasses.replace(preset, **change), counted)[1] == "counted"
