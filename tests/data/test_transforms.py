from __future__ import annotations

import cv2
import numpy as np
import pytest

from bridgenet.data import transforms
from bridgenet.data.transforms import IMAGE_MEAN, IMAGE_STD, EvaluationTransform, Sample, TrainingTransform
from bridgenet.errors import UserError

TASKS = ["semseg", "depth", "human_parts", "normals", "edge"]


def column(*values: float) -> np.ndarray:
    """One row of pixels, (1, W, 1) float32."""
    return np.array(values, np.float32).reshape(1, -1, 1)


def make_sample(height: int = 12, width: int = 16) -> Sample:
    rng = np.random.default_rng(3)
    return {
        "image": rng.integers(0, 256, (height, width, 3)).astype(np.float32),
        "semseg": rng.integers(0, 5, (height, width, 1)).astype(np.float32),
        "depth": rng.uniform(1, 9, (height, width, 1)).astype(np.float32),
        "human_parts": rng.integers(0, 7, (height, width, 1)).astype(np.float32),
        "normals": rng.uniform(-1, 1, (height, width, 3)).astype(np.float32),
        "edge": rng.integers(0, 2, (height, width, 1)).astype(np.float32),
    }


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_scale_sizes_and_values() -> None:
    sample = {
        "image": np.repeat(np.array([[[0.0], [1.0]]], np.float32), 3, axis=2),
        "semseg": column(3, 255),
        "depth": column(4, 255),
    }
    scaled = transforms.scale(sample, 2.0)
    # bilinear with half-pixel centres: 0, 0.25, 0.75, 1, not rounded
    np.testing.assert_allclose(scaled["image"][0, :, 0], [0, 0.25, 0.75, 1])
    assert scaled["semseg"][..., 0].tolist() == [[3, 3, 255, 255]] * 2
    assert scaled["depth"][..., 0].tolist() == [[2, 2, 255, 255]] * 2
    assert transforms.scale(make_sample(), 0.7)["image"].shape == (8, 11, 3)  # 8.4 and 11.2 cut down


def test_random_scale_spans_half_to_double() -> None:
    sample = {"image": np.zeros((100, 10, 3), np.float32)}
    heights = [transforms.random_scale(sample, rng(seed))["image"].shape[0] for seed in range(200)]
    assert 50 <= min(heights) < 60
    assert 190 < max(heights) <= 200
    assert 115 < np.mean(heights) < 135


def test_crop_takes_one_window_of_everything() -> None:
    place = np.arange(12 * 16, dtype=np.float32).reshape(12, 16, 1)
    cropped = transforms.random_crop({"image": place, "depth": place}, (5, 20), rng())
    assert cropped["image"].shape == (5, 16, 1)  # the width is smaller than asked for and stays
    np.testing.assert_array_equal(cropped["image"], cropped["depth"])
    assert (np.diff(cropped["image"][:, 0, 0]) == 16).all()


def test_crop_reaches_every_place() -> None:
    place = np.arange(4, dtype=np.float32).reshape(1, 4, 1)
    starts = {transforms.random_crop({"image": place}, (1, 2), rng(seed))["image"][0, 0, 0] for seed in range(40)}
    assert starts == {0, 1, 2}


def test_crop_avoids_a_single_class() -> None:
    labels = np.zeros((1, 40, 1), np.float32)
    labels[:, 20:] = 1
    labels[:, ::7] = 255
    sample = {"image": np.zeros((1, 40, 3), np.float32), "semseg": labels}

    def share(seed: int) -> float:
        cropped = transforms.random_crop(sample, (1, 10), rng(seed))["semseg"]
        valid = cropped[cropped != 255]
        return max((valid == 0).mean(), (valid == 1).mean())

    # 5 of 31 places are balanced: ten draws find one in 83 % of the cases, one draw in 16 %
    balanced = np.mean([share(seed) <= 0.75 for seed in range(200)])
    assert 0.7 < balanced < 0.95


@pytest.mark.parametrize(
    ("labels", "varied"),
    [
        ([0, 0, 0, 1], True),  # exactly 75 %
        ([0, 0, 0, 0, 1], False),
        ([0, 0, 0, 1, 255, 255, 255, 255, 255], True),  # ignored pixels do not count
        ([2, 2, 255, 255], False),
        ([255, 255], False),
    ],
)
def test_rule_of_the_crop(labels: list[int], varied: bool) -> None:
    assert transforms._is_varied(np.array([labels], np.uint8)) is varied


def test_last_crop_stands_when_none_is_varied() -> None:
    sample = {"image": np.zeros((9, 9, 3), np.float32), "semseg": np.zeros((9, 9, 1), np.float32)}
    assert transforms.random_crop(sample, (4, 4), rng())["semseg"].shape == (4, 4, 1)


def test_flip_mirrors_and_turns_x_of_normals() -> None:
    normals = np.array([[[0.6, 0.0, 0.8], [255, 255, 255], [0, 0, 0]]], np.float32)
    flipped = transforms.flip({"image": normals, "normals": normals, "semseg": column(1, 2, 255)})
    assert flipped["semseg"][0, :, 0].tolist() == [255, 2, 1]
    np.testing.assert_array_equal(flipped["image"], normals[:, ::-1])
    np.testing.assert_array_equal(
        flipped["normals"][0], np.array([[0, 0, 0], [255, 255, 255], [-0.6, 0.0, 0.8]], np.float32)
    )


def test_random_flip_is_fair() -> None:
    sample = {"image": np.arange(2, dtype=np.float32).reshape(1, 2, 1)}
    flipped = [transforms.random_flip(sample, rng(seed))["image"][0, 0, 0] for seed in range(300)]
    assert 120 < np.sum(flipped) < 180


def pixel(*rgb: int) -> np.ndarray:
    return np.array([[rgb]], np.uint8)


def test_brightness_and_contrast_clip_and_round_down() -> None:
    assert transforms.adjust(pixel(10, 100, 250), 1.0, 31.7)[0, 0].tolist() == [41, 131, 255]
    assert transforms.adjust(pixel(10, 100, 250), 1.0, -31.7)[0, 0].tolist() == [0, 68, 218]
    assert transforms.adjust(pixel(10, 101, 250), 1.5, 0.0)[0, 0].tolist() == [15, 151, 255]


def test_saturation() -> None:
    # (200, 120, 120): V 200, S 255·80/200 = 102; half of it is 51, so the lows rise to 200·(1 − 51/255)
    assert transforms.saturate(pixel(200, 120, 120), 0.5)[0, 0].tolist() == [200, 160, 160]
    assert transforms.saturate(pixel(77, 77, 77), 1.5)[0, 0].tolist() == [77, 77, 77]


def test_hue_turns_and_wraps() -> None:
    assert transforms.shift_hue(pixel(255, 0, 0), 60)[0, 0].tolist() == [0, 255, 0]  # 60 steps of 2 degrees
    below_zero = transforms.shift_hue(pixel(255, 0, 0), -18)
    assert cv2.cvtColor(below_zero, cv2.COLOR_RGB2HSV)[0, 0].tolist() == [162, 255, 255]
    assert transforms.shift_hue(pixel(9, 9, 9), 18)[0, 0].tolist() == [9, 9, 9]


def test_photometric_distortion_stays_in_whole_numbers() -> None:
    image = rng(5).uniform(0, 255, (6, 7, 3)).astype(np.float32)
    before = image.copy()
    unchanged = 0
    for seed in range(60):
        distorted = transforms.photometric_distortion(image, rng(seed))
        assert distorted.dtype == np.float32
        assert distorted.min() >= 0
        assert distorted.max() <= 255
        np.testing.assert_array_equal(distorted, np.floor(distorted))
        unchanged += np.array_equal(distorted, np.floor(image))
    assert 0 < unchanged < 20  # nothing is drawn in one of 16 cases
    np.testing.assert_array_equal(image, before)


def test_normalise() -> None:
    image = np.full((1, 1, 3), 51, np.float32)
    np.testing.assert_allclose(
        transforms.normalise(image)[0, 0], (0.2 - np.array(IMAGE_MEAN)) / np.array(IMAGE_STD), rtol=1e-6
    )


def test_padding_is_centred_with_the_odd_pixel_below_and_right() -> None:
    sample = {"image": np.full((1, 2, 3), 7, np.float32), "semseg": column(1, 2), "depth": column(3, 4)}
    padded = transforms.pad_to(sample, (4, 5))
    assert transforms.centre_offset((1, 2), (4, 5)) == (1, 1)
    expected = np.full((4, 5), 255)
    expected[1, 1:3] = 1, 2
    np.testing.assert_array_equal(padded["semseg"][..., 0], expected)
    assert padded["depth"][1].ravel().tolist() == [0, 3, 4, 0, 0]
    assert padded["image"][1, :, 0].tolist() == [0, 7, 7, 0, 0]


def test_ignore() -> None:
    marked = transforms.apply_ignore(
        {
            "image": np.zeros((1, 3, 3), np.float32),
            "depth": column(0, 2, 255),
            "normals": np.array([[[0, 0, 0], [0, 0, 1], [0, 1, 0]]], np.float32),
            "human_parts": column(0, 255, 0),
            "semseg": column(0, 0, 0),
        }
    )
    assert not marked["image"].any()
    assert marked["depth"].ravel().tolist() == [255, 2, 255]
    assert marked["normals"][0].tolist() == [[255, 255, 255], [0, 0, 1], [0, 1, 0]]
    assert marked["human_parts"].ravel().tolist() == [255, 255, 255]
    assert marked["semseg"].ravel().tolist() == [0, 0, 0]
    with_a_part = transforms.apply_ignore({"human_parts": column(0, 255, 4)})
    assert with_a_part["human_parts"].ravel().tolist() == [0, 255, 4]


@pytest.mark.parametrize("size", [(10, 14), (40, 50)], ids=["cropped", "padded"])
@pytest.mark.parametrize("tasks", [TASKS, ["depth"]], ids=["all", "without semseg"])
def test_training_transform(size: tuple[int, int], tasks: list[str]) -> None:
    transform = TrainingTransform(size, tasks)
    sample = make_sample()
    before = {name: array.copy() for name, array in sample.items()}
    for seed in range(8):
        got = transform(sample, rng(seed))
        assert list(got) == ["image", *tasks]
        for name, array in got.items():
            assert array.shape == (sample[name].shape[2], *size)
            assert array.dtype == np.float32
            assert array.flags.c_contiguous
        assert ((got["depth"] > 0.5) & (got["depth"] < 18) | (got["depth"] == 255)).all()
        again = transform(sample, rng(seed))
        assert all(np.array_equal(got[name], again[name]) for name in got)
    assert all(np.array_equal(sample[name], before[name]) for name in sample)


def test_training_transform_moves_all_targets_together() -> None:
    """A picture whose labels are all the same map keeps them the same, and depth apart from its scale."""
    labels = np.repeat(np.arange(1, 5, dtype=np.float32), 4).reshape(1, 16, 1).repeat(12, axis=0)
    sample = {"image": labels.repeat(3, axis=2), "semseg": labels, "human_parts": labels, "depth": labels}
    for seed in range(8):
        got = TrainingTransform((10, 14), list(sample)[1:])(sample, rng(seed))
        np.testing.assert_array_equal(got["semseg"], got["human_parts"])
        valid = got["semseg"] != 255
        np.testing.assert_array_equal(got["depth"] == 255, ~valid)
        ratio = got["semseg"][valid] / got["depth"][valid]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
        assert 0.5 <= ratio[0] <= 2


def test_evaluation_transform_keeps_the_image_and_ignores_the_rest() -> None:
    sample = make_sample()
    got = EvaluationTransform((15, 17), TASKS)(sample)
    inside = (slice(1, 13), slice(0, 16))
    np.testing.assert_array_equal(got["semseg"][0][inside], sample["semseg"][..., 0])
    for name in TASKS:
        outside = got[name].copy()
        outside[:, inside[0], inside[1]] = 255
        assert (outside == 255).all()
    assert not got["image"][:, 0].any()


def test_image_larger_than_the_canvas() -> None:
    with pytest.raises(UserError, match=r"0042: found 12×16 pixels.*12×15.*--data.eval-size"):
        EvaluationTransform((12, 15), TASKS)(make_sample(), "0042")
