"""Fixtures that several test files share."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

from bridgenet.tasks import registry
from tests.data.layouts import make_nyud

hypothesis.settings.register_profile("repeatable", derandomize=True)  # a run of the suite is like the one before
hypothesis.settings.load_profile("repeatable")  # to search on: pytest --hypothesis-profile default
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that asks a hub for weights is wrong
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for processes that tests start
os.environ["XDG_STATE_HOME"] = os.environ["LOCALAPPDATA"] = tempfile.mkdtemp()  # tests trust nothing for the user
torch.set_num_threads(1)  # small tensors: threads cost more than they give, and two processes would fight for cores
# A shell's background job ignores Ctrl-C, and tests that press it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def registered_tasks() -> Iterator[None]:
    """Tasks that the tests of a file make known are forgotten after it."""
    known = dict(registry._TASKS)
    yield
    registry._TASKS.clear()
    registry._TASKS.update(known)


@pytest.fixture
def nyud_root(tmp_path: Path) -> Path:
    """A data root with a tiny NYUD-v2 folder."""
    root = tmp_path / "data"
    make_nyud(root)
    return root
