"""Pairs of photos and true masks: who belongs to whom, which way up, and what is no mask."""

import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.data import sources
from oldphoto_jax.data.pairs import Pairs

SIZE = (12, 16)
RNG = np.random.default_rng(0)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    order = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    path.write_bytes(cv2.imencode(path.suffix, order)[1].tobytes())


def photo(path, size=SIZE):
    pixels = RNG.integers(0, 256, (*size, 3), np.uint8)
    write(path, pixels)
    return pixels


def mask(path, size=SIZE):
    marked = RNG.random(size) < 0.2
    write(path, np.uint8(marked * 255))
    return marked


@pytest.fixture
def album(tmp_path):
    """Two pairs, and all that lies in a folder of results beside them."""
    folder = tmp_path / "album"
    truths = {}
    for name in ("a.png", "box/été.png"):
        stem = name.removesuffix(".png")
        truths[name] = photo(folder / name), mask(folder / f"{stem}_mask.png")
        photo(folder / f"{stem}_restored.png")
        write(folder / f"{stem}_prob.png", RNG.integers(0, 65536, SIZE, np.uint16))
    photo(folder / "alone.png")
    (folder / "report.jsonl").write_text("{}\n")
    return folder, truths


def test_a_pair_is_a_photo_and_the_mask_beside_it(album, caplog):
    folder, truths = album
    pairs = sources.open_photos(f"pairs:{folder}")
    assert pairs.names == sorted(truths) and pairs.unpaired == 5
    assert caplog.text.count("left out 5 pictures without a mask") == 1
    for record in pairs:
        pixels, marked = truths[record["name"]]
        np.testing.assert_array_equal(record["photo"], pixels)
        assert record["mask"].dtype == np.uint8
        np.testing.assert_array_equal(record["mask"][..., 0], marked)


def test_masks_may_lie_in_a_folder_with_the_tree_of_the_photos(tmp_path):
    for name in ("a.jpg", "a.png", "b.png", "box/c.png"):
        photo(tmp_path / "scans" / name)
    names = ("a.jpg_mask.png", "a.png_mask.png", "b.png", "box/c_mask.tif", "c_mask.png")
    truths = [mask(tmp_path / "scans" / "masks" / name) for name in names]
    pairs = sources.open_photos(f"pairs:{tmp_path / 'scans'}@{tmp_path / 'scans' / 'masks'}")
    assert pairs.names == ["a.jpg", "a.png", "b.png", "box/c.png"] and not pairs.unpaired
    for record, truth in zip(pairs, truths, strict=False):
        np.testing.assert_array_equal(record["mask"][..., 0], truth)


def test_pairs_are_one_source_among_others_by_their_share(album, tmp_path):
    photo(tmp_path / "more" / "x.png")
    mixed = sources.open_photos(f"2*pairs:{album[0]} + 3*{tmp_path / 'more'}")
    assert ["mask" in record for record in mixed] == [True] * 2 + [False] * 3


def test_what_somebody_turned_upright_fits_its_mask(tmp_path):
    rows, columns = np.indices(SIZE)
    lying = Image.fromarray(np.uint8(15 * rows + 4 * columns)).convert("RGB")
    exif = lying.getexif()
    exif[0x0112] = 6
    lying.save(tmp_path / "a.jpg", exif=exif, quality=100)
    truth = mask(tmp_path / "a_mask.png", SIZE[::-1])
    [record] = Pairs(tmp_path)
    assert record["photo"].shape == (*SIZE[::-1], 3)
    np.testing.assert_array_equal(record["mask"][..., 0], truth)
    turned = np.rot90(np.asarray(lying), -1).astype(int)
    assert np.abs(record["photo"] - turned).max() < 9


def test_deep_and_gray_photos_become_what_training_takes(tmp_path):
    deep = RNG.integers(0, 65536, SIZE, np.uint16)
    write(tmp_path / "a.png", deep)
    mask(tmp_path / "a_mask.png")
    [record] = Pairs(tmp_path)
    expected = np.rint(deep / 257)[..., None].repeat(3, -1)
    np.testing.assert_array_equal(record["photo"], expected)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((5, 5), np.uint8), "the mask has 5 x 5 pixels, the photo 16 x 12"),
        (np.full((*SIZE, 3), (255, 0, 0), np.uint8), "has colours, so it is no mask"),
        (np.full(SIZE, 128, np.uint8), "gray, so it is no mask"),
        (np.full(SIZE, 255, np.uint8), "marks 100% of the photo as damaged"),
    ],
)
def test_what_is_no_mask_is_skipped_and_told(album, pixels, words, caplog):
    folder, _ = album
    write(folder / "a_mask.png", pixels)
    pairs = Pairs(folder)
    assert [record["name"] for record in pairs] == ["box/été.png"] * 2
    assert words in pairs.broken["a.png"] and caplog.text.count("skipped a.png") == 1
    assert [record["name"] for record in pairs.readable()] == ["box/été.png"]


def test_two_masks_are_a_question(album):
    folder, _ = album
    mask(folder / "a_mask.tif")
    pairs = Pairs(folder)
    assert len(list(pairs.readable())) == 1 and "several files as its mask" in pairs.broken["a.png"]


def test_nothing_paired_says_how_masks_are_named(album, tmp_path):
    photo(tmp_path / "scans" / "a.png")
    with pytest.raises(ValueError, match="NAME_mask.png, white where damaged.*PHOTOS@MASKS"):
        sources.open_photos(f"pairs:{tmp_path / 'scans'}")
    missing = "folder of masks .* does not exist; give the photos' folder, or PHOTOS@MASKS"
    with pytest.raises(FileNotFoundError, match=missing):
        sources.open_photos(f"pairs:{album[0]}@{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("words", ["", "@masks"])
def test_no_name_is_not_the_folder_in_which_one_is(album, monkeypatch, words):
    monkeypatch.chdir(album[0])
    with pytest.raises(ValueError, match=f"'{words}' names no folder of photos"):
        Pairs.named(words)


def test_a_part_of_the_pairs_and_pairs_elsewhere_are_the_same_pairs(album):
    pairs = Pairs(album[0])
    part = pickle.loads(pickle.dumps(pairs.only({"box/été.png"})))
    assert part.names == ["box/été.png"] and len(pairs) == 2
    for key, value in part[0].items():
        np.testing.assert_array_equal(value, pairs[1][key])
