"""A sheet shows every picture whole, and every caption, in little memory."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from oldphoto_jax.folder import sheet
from oldphoto_jax.photo import image
from oldphoto_jax.photo.content import PhotoError
from oldphoto_jax.photo.disk import files
from oldphoto_jax.restore import detect


def noise(height, width, channels=3, dtype=np.uint8, seed=0):
    most = np.iinfo(dtype).max
    rng = np.random.default_rng(seed)
    return rng.integers(0, most, (height, width, channels), dtype, endpoint=True)


class Counted:
    """Pixels that are made when their rows are asked for; remembers how many at once."""

    def __init__(self, height, width):
        self.shape, self.dtype, self.ndim = (height, width, 3), np.dtype(np.uint8), 3
        self.asked = []

    def __getitem__(self, rows):
        self.asked.append((rows.start, min(rows.stop, self.shape[0])))
        count = self.asked[-1][1] - rows.start
        return np.full((count, *self.shape[1:]), 90, np.uint8)


def bands(line):
    """(first, last + 1) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
    return list(zip(edges[::2], edges[1::2], strict=True))


def blocks(drawn, value):
    """(height, width) of the pictures of one value, row by row: where they alone stand."""
    here = (drawn == value).all(axis=-1)
    return [
        (bottom - top, right - left)
        for top, bottom in bands(here.sum(axis=1) > 20)
        for left, right in bands(here[top:bottom].sum(axis=0) > 20)
    ]


def flat(height, width, value=0):
    return np.full((height, width, 3), value, np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_shrinking_in_strips_is_shrinking_at_once(dtype, channels, monkeypatch):
    monkeypatch.setattr(sheet, "STRIP", 1000)
    pixels = noise(83, 67, channels, dtype)
    whole = image.to_uint8(image.resize(image.to_float(pixels), 20, 16))
    assert np.abs(sheet.shrink(pixels, 20, 16).astype(int) - whole).max() <= 1
    same = image.to_uint8(image.to_float(pixels))
    np.testing.assert_array_equal(sheet.shrink(pixels, 83, 67), same)


def test_every_row_is_asked_for_once_and_few_at_a_time():
    pixels = Counted(6000, 4000)
    tracemalloc.start()
    drawn = sheet.draw([("as it came", pixels)], height=120)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [start for start, _ in pixels.asked[1:]] == [stop for _, stop in pixels.asked[:-1]]
    assert pixels.asked[0][0] == 0 and pixels.asked[-1][1] == 6000
    assert peak < 6000 * 4000 * 3 / 4, "the photo lies in memory"
    assert (90, 90, 90) in {tuple(pixel) for pixel in drawn[drawn.shape[0] // 3]}


def test_pictures_stand_side_by_side_at_one_height():
    drawn = sheet.draw([("a", flat(100, 150)), ("b", flat(200, 100)), ("", flat(50, 75))], 60)
    assert drawn.dtype == np.uint8 and drawn.shape[-1] == 3
    assert blocks(drawn, 0) == [(60, 90), (60, 30), (60, 90)]


@pytest.mark.parametrize(("width", "rows"), [(160, 1), (170, 2)])
def test_wide_photos_stand_two_by_two(width, rows):
    drawn = sheet.draw([(name, flat(100, width)) for name in "abcd"], 100)
    assert blocks(drawn, 0) == [(100, width)] * 4
    assert len(bands((drawn == 0).all(axis=-1).sum(axis=1) > 20)) == rows


def test_a_third_wide_photo_has_the_second_row_for_itself():
    drawn = sheet.draw([(name, flat(100, 200)) for name in "abc"], 100)
    assert blocks(drawn, 0) == [(100, 200)] * 3


@pytest.mark.parametrize(
    ("shape", "shown"), [((40, 400), (25, 250)), ((500, 25), (100, 5)), ((30, 40), (30, 40))]
)
def test_panoramas_are_shown_lower_and_small_photos_as_they_are(shape, shown):
    drawn = sheet.draw([("", flat(*shape))], 100)
    margin = sheet.SMALLEST_MARGIN
    high, wide = shown
    left = (drawn.shape[1] - wide) // 2
    inside = drawn[margin : margin + high, left : left + wide]
    assert inside.shape[:2] == shown and not inside.any()
    assert (drawn == 0).all(axis=-1).sum() == high * wide


def test_nothing_of_a_picture_is_changed_or_hidden():
    pixels = noise(60, 80)
    drawn = sheet.draw([("as it came", pixels), ("gray", pixels[..., :1])], 60)
    margin, cell = sheet.SMALLEST_MARGIN, 80
    left = (drawn.shape[1] - 3 * margin - 2 * cell) // 2 + margin  # captions may be wider
    np.testing.assert_array_equal(drawn[margin : margin + 60, left : left + 80], pixels)
    gray = drawn[margin : margin + 60, left + cell + margin : left + 2 * cell + margin]
    np.testing.assert_array_equal(gray, np.repeat(pixels[..., :1], 3, axis=-1))


@pytest.mark.parametrize(
    "caption",
    ["restored and coloured", "a very long caption of a narrow photo: " * 5, "gjpqy ÅÉ"],
)
def test_captions_are_never_cut_off(caption):
    drawn = sheet.draw([(caption, flat(100, 10, 128)), ("x", flat(100, 10, 128))], 100)
    paper = (drawn == sheet.PAPER).all(axis=-1)
    margin = sheet.SMALLEST_MARGIN // 2
    for edge in (paper[:margin], paper[-margin:], paper[:, :margin], paper[:, -margin:]):
        assert edge.all()
    ink = bands(~paper[sheet.SMALLEST_MARGIN + 100 :].all(axis=0))
    alone = sheet.draw([(caption, flat(100, 10, 128))], 100)
    letters = ~(alone == sheet.PAPER).all(axis=-1)[sheet.SMALLEST_MARGIN + 100 :].all(axis=0)
    assert len(ink) == len(bands(letters)) + 1  # the neighbour's x touches no letter


@pytest.mark.parametrize("caption", ["", " ", "写真", "Фото", "a\nb\tc", "\udcff", "\u202e🙂\x00"])
def test_any_text_will_do_as_a_caption(caption):
    assert sheet.draw([(caption, flat(30, 40))], 30).shape[1] >= 40


def test_found_defects_are_red_however_thin():
    pixels, mask = flat(3000, 2000, 128), np.zeros((3000, 2000), np.uint8)
    mask[:, 700] = 1  # a thirtieth of a small pixel
    small = sheet.found(pixels, mask, 100)
    assert small.shape == (100, 67, 3)
    red = small[..., 0].astype(int) > small[..., 1]
    assert red[:, 700 * 67 // 2000].all() and red.sum() == 100
    np.testing.assert_array_equal(
        sheet.found(noise(20, 30, 1), mask[:20, :30], 50),
        detect.overlay(noise(20, 30, 1), mask[:20, :30]),
    )


def test_a_mask_of_other_size_is_refused():
    with pytest.raises(ValueError, match=r"mask.*\(20, 31\).*\(20, 30, 3\)"):
        sheet.found(flat(20, 30), np.zeros((20, 31), np.uint8))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_sheet_is_written_by_its_suffix(tmp_path, suffix):
    pictures = [("as it came", noise(60, 80)), ("restored", flat(60, 80, 128))]
    path = tmp_path / f"a_sheet{suffix}"
    sheet.write(path, pictures)
    drawn = sheet.draw(pictures)
    with Image.open(path) as opened:
        assert opened.format == {".jpg": "JPEG", ".png": "PNG"}[suffix]
        assert opened.size == drawn.shape[1::-1]
    if suffix == ".png":
        np.testing.assert_array_equal(files.read(path).pixels, drawn)
    assert list(tmp_path.iterdir()) == [path]


def test_a_sheet_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(PhotoError, match="sheet"):
        sheet.write(tmp_path / "none" / "a_sheet.jpg", [("a", flat(9, 9))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("pictures", "height", "match"),
    [
        ([], 100, "no pictures"),
        ([("a", flat(9, 9))], 0, "height 0"),
        ([("a", flat(9, 9)[..., 0])], 100, r"\(9, 9\)"),
        ([("a", np.zeros((9, 9, 4), np.uint8))], 100, r"\(9, 9, 4\)"),
        ([("a", np.zeros((0, 9, 3), np.uint8))], 100, r"\(0, 9, 3\)"),
        ([("a", np.zeros((9, 9, 3), np.float32))], 100, "float32"),
    ],
)
def test_what_is_no_picture_is_refused(pictures, height, match):
    with pytest.raises(ValueError, match=match):
        sheet.draw(pictures, height)
