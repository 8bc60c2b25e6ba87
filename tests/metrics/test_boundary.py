"""Boundary evaluation, step by step, and what holds of it whatever the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from skimage.morphology import thin as skimage_thin

from bridgenet.metrics import boundary
from bridgenet.metrics.boundary import Matcher, boundaries, count, radius, summarise, thin
from bridgenet.metrics.boundary.scores import average_precision, precision_recall
from bridgenet.metrics.boundary.suppression import (
    fade_border,
    non_maximum_suppression,
    orientation,
    suppress,
    triangle_filter,
)

shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)
maps = shapes.flatmap(lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))


def match(prediction: np.ndarray, truth: np.ndarray, distance: float) -> int:
    return Matcher(truth, prediction, distance).count(prediction)


@settings(max_examples=50, deadline=None)
@given(maps, st.floats(0, 6))
def test_matching_is_a_maximum_matching(pair, distance: float) -> None:
    """As SciPy's other algorithm finds it; symmetric, never above either count, the same when flipped."""
    prediction, truth = pair
    found = match(prediction, truth, distance)
    p, t = np.argwhere(prediction), np.argwhere(truth)
    if len(p) and len(t):
        near = np.hypot(*(p[:, None] - t[None]).transpose(2, 0, 1)) <= distance
        assert found == (maximum_bipartite_matching(csr_array(near), perm_type="column") >= 0).sum()
    else:
        assert found == 0
    assert found <= min(prediction.sum(), truth.sum())
    assert found == match(truth, prediction, distance)
    assert found == match(prediction[::-1], truth[::-1], distance)
    assert found == match(prediction[:, ::-1], truth[:, ::-1], distance)


@settings(max_examples=50, deadline=None)
@given(maps, st.floats(0, 4))
def test_parts_of_the_union(pair, distance: float) -> None:
    """A matcher made for several predictions counts each as one made for it alone."""
    prediction, truth = pair
    other = prediction & (np.arange(prediction.size).reshape(prediction.shape) % 2 == 0)
    matcher = Matcher(truth, prediction, distance)
    assert matcher.count(other) == match(other, truth, distance)


def test_ties_of_distance_count() -> None:
    """At 240×320 and 0.0075 the distance is exactly 3 pixels."""
    assert radius(0.0075, (240, 320)) == 3
    truth, prediction = np.zeros((240, 320), bool), np.zeros((240, 320), bool)
    truth[100, 100] = prediction[100, 103] = True
    assert match(prediction, truth, radius(0.0075, truth.shape)) == 1
    assert match(np.roll(prediction, 1, axis=1), truth, radius(0.0075, truth.shape)) == 0


@settings(max_examples=40, deadline=None)
@given(arrays(bool, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=12)))
def test_thinning_is_scikit_images(images: np.ndarray) -> None:
    for got, image in zip(thin(images), images, strict=True):
        assert np.array_equal(got, skimage_thin(image))


def test_thinning_of_more_maps_than_a_word_has_bits() -> None:
    images = np.random.default_rng(0).random((70, 20, 30)) < np.linspace(0.2, 0.9, 70)[:, None, None]
    for got, image in zip(thin(images), images, strict=True):
        assert np.array_equal(got, skimage_thin(image))


def test_triangle_filter() -> None:
    """1 2 3 4 5 4 3 2 1 over 25, mirrored with the border repeated; also where the map is narrower than the filter."""
    kernel = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25
    for shape in ((20, 30), (9, 3), (1, 1), (2, 40)):
        image = np.random.default_rng(1).random(shape).astype(np.float32)
        expected = image.astype(np.float64)
        for axis in (0, 1):
            index = np.arange(-4, shape[axis] + 4) % (2 * shape[axis])
            index = np.where(index >= shape[axis], 2 * shape[axis] - 1 - index, index)
            expected = np.apply_along_axis(lambda row, i=index: np.convolve(row[i], kernel, "valid"), axis, expected)
        np.testing.assert_allclose(triangle_filter(image), expected, atol=1e-5)


@pytest.mark.parametrize("slope", [0.0, 0.5, -1.0, 3.0])
def test_suppression_keeps_the_ridge(slope: float) -> None:
    """Of a soft straight boundary only a line is left, with its values; the normal lies across it."""
    y, x = np.mgrid[:41, :41] - 20.0
    distance = (x - slope * y) / np.hypot(1, slope)
    image = np.exp(-(distance**2) / 8).astype(np.float32)
    angle = orientation(image)
    across = np.arctan2(-slope, 1) % np.pi
    off = np.abs(angle - across)[np.abs(distance) < 1][10:-10]
    assert np.minimum(off, np.pi - off).max() < 0.3  # the protocol's formula is an approximation
    ridge = suppress(image, angle)[8:-8, 8:-8]
    assert (ridge[ridge > 0] >= 0.8).all()
    per_line = (ridge > 0).sum(axis=1 if abs(slope) <= 1 else 0)
    assert per_line.min() >= 1
    assert per_line.max() <= 2


def test_a_boundary_along_the_rows_is_not_suppressed() -> None:
    """A quirk of the protocol: without any change along x the sign of it is 0, and the normal is taken to lie along x."""
    image = np.repeat(np.exp(-((np.arange(31) - 15.0) ** 2) / 8).astype(np.float32)[:, None], 41, axis=1)
    assert (orientation(image) == 0).all()
    assert np.array_equal(suppress(image, orientation(image))[5:-5, 5:-5], image[5:-5, 5:-5])


def test_border_fade() -> None:
    faded = fade_border(np.ones((12, 20), np.float32))
    assert faded[6].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, *[1] * 10, 0.8, 0.6, 0.4, 0.2, 0])
    assert (faded[0] == 0).all()
    assert (faded[:, -1] == 0).all()
    assert (fade_border(np.ones((3, 3), np.float32))[1] == [0, 1, 0]).all()


def test_boundaries_of_a_label_map() -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[:, 4:] = 7
    expected = np.zeros((6, 8), bool)
    expected[:, 3] = True
    assert np.array_equal(boundaries(labels), expected)
    assert not boundaries(np.full((5, 5), 3)).any()


def perfect(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    truth = boundaries(labels)
    return count((truth * 255).astype(np.uint8), truth, max_distance=0.0075)


def test_perfect_prediction() -> None:
    """Where suppression keeps a boundary whole, all of it is found: F = 1."""
    labels = np.zeros((120, 160), np.uint8)
    labels[40:80, 50:110] = 1
    matched, predicted, true = perfect(labels)
    scores = summarise(matched[None], predicted[None], np.array([true]))
    kept = non_maximum_suppression((boundaries(labels) * 255).astype(np.uint8)) > 0
    assert np.array_equal(kept, boundaries(labels))
    assert scores.ods_f == scores.ois_f == 1


@pytest.mark.parametrize(
    ("prediction", "labels", "recall", "precision"),
    [
        (0, np.zeros((40, 50)), 1, 0),
        (0, np.arange(50) // 25 * np.ones((40, 1)), 0, 1),
        (255, np.zeros((40, 50)), 1, 0),
    ],
    ids=["neither", "no prediction", "no truth"],
)
def test_empty_cases(prediction: int, labels: np.ndarray, recall: float, precision: float) -> None:
    image = np.full((40, 50), prediction, np.uint8)
    matched, predicted, true = count(image, boundaries(labels), max_distance=0.01)
    assert matched.sum() == 0
    got_precision, got_recall, f = precision_recall(matched, predicted, np.array(true))
    assert (got_recall == recall).all()
    assert (got_precision == precision).all()
    assert (f == 0).all()


def test_best_threshold_is_the_first_of_equals() -> None:
    matched = np.full((2, 101), 5)
    scores = summarise(matched, np.full((2, 101), 10), np.array([10, 10]))
    assert scores.ods_threshold == 0.001
    assert scores.ods_f == scores.ois_f == 0.5


def test_each_image_has_its_own_best_threshold() -> None:
    matched, predicted = np.zeros((2, 101), np.int64), np.full((2, 101), 10)
    matched[0, 3], matched[1, 50] = 10, 10
    scores = summarise(matched, predicted, np.array([10, 10]))
    assert scores.ois_f == 1
    assert scores.ods_f == 0.5
    assert scores.ods_threshold == 0.03


def test_own_thresholds_are_the_first_of_nearly_equals() -> None:
    """F is rounded to 6 decimals before each image's best threshold is looked for: the counts there are what is summed."""
    matched, predicted = np.full((1, 101), 5_000_000), np.full((1, 101), 10_000_000)
    matched[0, 60] += 1  # better by less than the rounding, with other counts
    predicted[0, 60] += 1
    scores = summarise(matched, predicted, np.array([10_000_000]))
    assert scores.ods_threshold == 0.6
    assert scores.ois_precision == 0.5


def test_average_precision() -> None:
    assert average_precision(np.array([1.0, 1.0]), np.array([0.0, 1.0])) == pytest.approx(1.01)
    assert average_precision(np.array([0.4, 0.2]), np.array([0.5, 0.5])) == 0
    halves = average_precision(np.array([0.5, 0.9, 1.0]), np.array([0.4, 0.4, 0.2]))
    assert halves == pytest.approx(sum(1 - 0.5 * (r - 20) / 20 for r in range(20, 41)) / 100)


@pytest.mark.parametrize("prediction", [np.zeros((4, 6), np.float32), np.zeros((6, 4), np.uint8)])
def test_arrays_that_do_not_belong_together(prediction: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 and bool of one shape"):
        count(prediction, np.zeros((4, 6), bool), max_distance=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (2, 2), (5, 4)])
def test_small_images(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    matched, predicted, true = boundary.count(image, boundaries(image > 100), max_distance=0.1)
    assert (matched <= predicted).all()
    assert (matched <= true).all()
