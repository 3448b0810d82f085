import cv2
import numpy as np
import pytest

from oldphoto_jax.photo import scratch
from oldphoto_jax.restore.components import Components

RNG = np.random.default_rng(0)


def spiral(size=41):
    """One part that crosses every band many times."""
    mask = np.zeros((size, size), np.uint8)
    y, x, step, turns = size // 2, size // 2, 2, 0
    while 0 <= y < size and 0 <= x < size:
        to = [(y, x + step), (y + step, x), (y, x - step), (y - step, x)][turns % 4]
        cv2.line(mask, (x, y), to[::-1], 1)
        (y, x), turns, step = to, turns + 1, step + 2 * (turns % 2)
    return mask


def combs():
    """Two combs whose teeth interlock, joined at the far ends only."""
    mask = np.zeros((30, 33), np.uint8)
    mask[0], mask[-1] = 1, 1
    mask[:-2, ::4] = mask[2:, 2::4] = 1
    return mask


def frames():
    """Frames within frames."""
    mask = np.zeros((37, 45), np.uint8)
    for inset in range(0, 18, 2):
        mask[inset : 37 - inset, inset : 45 - inset] = inset % 4 == 0
    return mask


def stairs():
    """Pixels that touch at corners, down to the right and up again."""
    return (np.eye(40, dtype=np.uint8) | np.eye(40, dtype=np.uint8)[:, ::-1])[:, :30].copy()


SCENES = {
    "spiral": spiral(),
    "combs": combs(),
    "frames": frames(),
    "stairs": stairs(),
    "dense": (RNG.random((40, 50)) < 0.6).astype(np.uint8),
    "sparse": (RNG.random((40, 50)) < 0.1).astype(np.uint8),
    "all": np.ones((20, 9), np.uint8),
    "nothing": np.zeros((20, 9), np.uint8),
    "one pixel": np.ones((1, 1), np.uint8),
}


def numbers(parts):
    """What `windows` gives, as one array [H,W] with -1 between parts."""
    whole = np.full(parts.mask.shape, -1)
    for window, inside in parts.windows():
        whole[window] = inside
    return whole


@pytest.mark.parametrize("rows", [1, 2, 3, 7, None])
@pytest.mark.parametrize("scene", SCENES)
def test_bands_find_what_opencv_finds_in_the_whole(scene, rows):
    mask = SCENES[scene]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    parts = Components(mask, rows)
    found = numbers(parts)
    assert np.array_equal(found >= 0, mask > 0)
    pairs = {*zip(labels[mask > 0].tolist(), found[mask > 0].tolist(), strict=True)}
    assert len(pairs) == len(parts) == count - 1  # each of theirs is one of ours
    left, top, width, height = stats[1:, :4].T
    boxes = np.stack([top, left, top + height, left + width], axis=1).tolist()
    assert parts.boxes.tolist() == sorted(boxes)
    for theirs, ours in pairs:
        assert parts.boxes[ours].tolist() == boxes[theirs - 1]


def test_a_spiral_is_one_and_combs_are_two():
    assert len(Components(spiral(), rows=1)) == 1
    assert len(Components(combs(), rows=1)) == 2


@pytest.mark.parametrize("rows", [1, 4])
def test_the_height_of_bands_changes_no_number(rows):
    for mask in SCENES.values():
        assert np.array_equal(numbers(Components(mask, rows)), numbers(Components(mask)))


def test_what_is_chosen_for_each_part_is_painted(monkeypatch):
    monkeypatch.setattr(scratch, "SMALL", 1)
    mask = np.uint8([[255, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 1]])
    parts = Components(mask, rows=1)
    assert len(parts) == 4
    expected = [[7, 0, 0, 0], [0, 7, 0, 0], [0, 0, 0, 0], [255, 255, 0, 1]]
    assert parts.paint([7, 0, 255, 1]).tolist() == expected
    with pytest.raises(ValueError, match="3 codes for 4 parts"):
        parts.paint([1, 2, 3])
