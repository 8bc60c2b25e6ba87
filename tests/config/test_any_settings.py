"""Any settings are either refused, naming file and key, or are those of a run and stay the same when written and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridgenet import UserError, config
from bridgenet.config.loading import KEYS, LEAVES
from bridgenet.model.decoders import default_options

OPTIONS = [f"network.decoder.{name}" for name in default_options("bridgenet")]
ARGUMENTS = [
    "network.backbone.depth",
    "network.backbone.strides",
    "network.backbone.name",
    "network.backbone_kwargs.depth",
]
OLD = ["network.embed_dim", "network.tpp", "network.decoder_kwargs.width", "network.decoder.name"]
WRONG = [
    "setps",
    "data.nmae",
    "network.decoder.deep",
    "optimizer.lr.value",
    "loss.weights.edgy",
    "0",
    "steps.0",
    "ключ",
]
NAMES = st.sampled_from([*KEYS, *OPTIONS, *ARGUMENTS, *OLD, *WRONG, "loss.weights.depth", "metrics.depth"])
TEXT = st.one_of(
    st.text(st.characters(exclude_characters=":.", codec="utf-8"), max_size=8),
    st.sampled_from(["", "null", "1e400", "nan", "true", "[", "*a", "x" * 5000, "adam", "disk", "depth", "multi_task"]),
)
WHOLE = st.one_of(st.integers(), st.integers(-2, 40), st.sampled_from([10**9, 10**12, 2**63, 2**64, 10**22, 10**400]))
PLAIN = st.one_of(st.none(), st.booleans(), WHOLE, st.floats(), TEXT, st.dates())
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(TEXT, st.integers(-2, 2), st.none()), inner, max_size=3)
    ),
    max_leaves=5,
)


def nested(given_settings: dict[str, Any]) -> dict[Any, Any]:
    values: dict[Any, Any] = {}
    for key, value in given_settings.items():
        *groups, last = key.split(".")
        place = values
        for group in groups:
            inner = place.setdefault(group, {})
            if not isinstance(inner, dict):
                return values
            place = inner
        place[last] = value
    return values


@pytest.mark.filterwarnings("ignore:.*The old names go with the next version")
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_settings=st.dictionaries(NAMES, VALUES, min_size=1, max_size=3))
def test_settings_are_refused_or_stay_the_same(tmp_path: Path, given_settings: dict[str, Any]) -> None:
    file = tmp_path / "any.yaml"
    values = nested(given_settings)
    file.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    try:
        found = config.load(file)
    except UserError as error:
        for line in str(error).split("\n       "):
            assert line.startswith(f"{file}"), line
            assert any(f"{part}" in line for key in values for part in (key, "holds other than", "not valid YAML")), (
                line
            )
        return
    file.write_text(yaml.safe_dump(found.as_dict(), sort_keys=False), encoding="utf-8")
    assert config.load(file).as_dict() == found.as_dict()


@settings(max_examples=150, deadline=None)
@given(key=st.sampled_from([*LEAVES, *OPTIONS]), value=PLAIN)
def test_any_value_of_a_flag_is_refused_or_taken(key: str, value: Any) -> None:
    try:
        found = config.load(None, [f"--{key}={value}"])
    except UserError as error:
        assert f"--{key}" in str(error), error
        return
    assert found == config.load(None, [f"--{key}={value}"])
