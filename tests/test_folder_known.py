"""Damage by infra-red, and the margin of a scan: filled, cropped, or left."""

import numpy as np
import pytest

from oldphoto_jax.folder import chain, known, masks
from oldphoto_jax.folder.jobs import plan
from oldphoto_jax.photo import exif, image, margin
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoFile
from tests import test_photo_infrared as film
from tests.test_folder_chain import go, lines, rules  # noqa: F401  (rules is a fixture)


def overlap(found, dust):
    """Shared pixels over all pixels of both."""
    return (found & (dust > 0)).sum() / (found | (dust > 0)).sum()


@pytest.fixture
def scanned():
    """Pixels, infra-red channel and dust of a film; 8 bits."""
    return film.scan(np.uint8, size=(96, 128))


def way_of(case, tmp_path, pixels, light):
    """The scan with its infra-red channel as scanners hand it out, and the inputs it needs."""
    path, inputs = tmp_path / "in" / "a.tif", {}
    path.parent.mkdir()
    if case == "channel":
        files.write(path, PhotoFile(pixels, extra=light[..., None], extra_kinds=(0,)))
    elif case == "page":
        pages = (PhotoFile(pixels), PhotoFile(light[..., None], role="infrared"))
        files.write_pages(path, pages)
    else:
        files.write(path, PhotoFile(pixels))
        files.write(tmp_path / "ir" / "a_IR.tif", PhotoFile(light[..., None]))
        inputs["infrared"] = tmp_path / "ir" / "a_IR.tif"
    return path, inputs


@pytest.mark.parametrize("case", ["channel", "page", "file"])
def test_infrared_is_the_map_of_damage_and_no_network_is_asked(
    case, tmp_path, monkeypatch, scanned
):
    pixels, light, dust = scanned
    (tmp_path / "ir").mkdir()
    path, inputs = way_of(case, tmp_path, pixels, light)
    monkeypatch.setattr(chain.detect, "ask", lambda *_: pytest.fail("a network was asked"))
    go(path.parent, tmp_path / "out", infrared=True, given=inputs)
    [entry] = [one for one in lines(tmp_path / "out") if one.get("page", 1) == 1]
    assert entry["status"] in ("ok", "beyond_training"), entry  # the toy was trained on specks
    told, mask = (files.read(tmp_path / f"out/a_{kind}.png").pixels for kind in ("prob", "mask"))
    found = told[..., 0] >= 32768  # the toy's threshold is a half
    assert overlap(found, dust) >= 0.9
    assert (mask[..., 0][found] > 0).all()


def test_a_photo_without_infrared_fails_with_words(tmp_path):
    files.write(tmp_path / "a.png", PhotoFile(np.full((64, 64, 3), 90, np.uint8)))
    go(tmp_path / "a.png", tmp_path / "out", infrared=True)
    [entry] = lines(tmp_path / "out")
    assert entry["status"] == "failed" and "no infra-red channel" in entry["reason"]


def on_a_lid(height=80, width=100, top=14, left=18):
    """A dark print with a bright scratch on a white lid, and where the print lies."""
    print_ = np.random.default_rng(0).integers(20, 90, (height // 4, width // 4, 3), np.uint8)
    print_ = image.resize(print_, height, width)
    print_[:, 40:42] = 240
    scan = np.full((height + 2 * top, width + 2 * left, 3), 250, np.uint8)
    scan[top : top + height, left : left + width] = print_
    return scan, (slice(top, top + height), slice(left, left + width))


def test_the_margin_is_left_unless_told(tmp_path):
    scan, _ = on_a_lid()
    files.write(tmp_path / "a.png", PhotoFile(scan))
    nothing = np.zeros((*scan.shape[:2], 1), np.uint8)
    files.write_png(tmp_path / "m.png", nothing)
    go(tmp_path / "a.png", tmp_path / "out", given={"mask": tmp_path / "m.png"})
    assert (tmp_path / "out/a_restored.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_a_margin_that_is_filled_is_in_the_mask(tmp_path):
    scan, place = on_a_lid()
    files.write(tmp_path / "a.png", PhotoFile(scan))
    go(tmp_path / "a.png", tmp_path / "out", margin="fill")
    mask = files.read(tmp_path / "out/a_mask.png").pixels[..., 0] > 0
    outside = np.ones(scan.shape[:2], bool)
    outside[place] = False
    assert mask[outside].all() and mask[place].mean() < 0.2


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_cropped_photo_is_the_print_with_all_that_belongs_to_it(tmp_path, ending):
    scan, (rows, columns) = on_a_lid()
    block = exif.pack_block(
        {
            0x0100: exif.numbers(exif.SHORT, "<", scan.shape[1]),
            0x010E: exif.Value(2, b"Aunt\0"),
            exif.EXIF_DIRECTORY: {0xA003: exif.numbers(exif.LONG, "<", scan.shape[0])},
        },
        "<",
    )
    xmp = b'<x><rdf:Description tiff:ImageWidth="136" dc:format="x"/></x>'
    path = tmp_path / f"a.{ending}"
    files.write(path, PhotoFile(scan, exif=block, xmp=xmp), quality=95)
    go(path, tmp_path / "out", margin="crop")
    made = files.read(tmp_path / f"out/a_restored.{ending}")
    height, width = made.pixels.shape[:2]
    assert abs(height - 80) <= 2 and abs(width - 100) <= 2
    assert files.read(tmp_path / "out/a_mask.png").pixels.shape[:2] == (height, width)
    tags = exif.parse(made.exif)
    assert tags[0x010E].data == b"Aunt\0"
    assert int.from_bytes(tags[0x0100].data, "little") == width
    assert int.from_bytes(tags[exif.EXIF_DIRECTORY][0xA003].data, "little") == height
    assert b"ImageWidth" not in made.xmp and b"dc:format" in made.xmp
    [entry] = lines(tmp_path / "out")
    assert entry["size"] == [height, width]
    assert any("cropped to the print" in note for note in entry["notes"])


def test_pages_that_belong_to_a_print_are_cropped_as_it_is(tmp_path):
    scan, _ = on_a_lid()
    infrared = np.full((*scan.shape[:2], 1), 200, np.uint8)
    infrared[60:64, 40:50] = 20
    pages = [PhotoFile(scan), PhotoFile(infrared, role="infrared")]
    files.write_pages(tmp_path / "a.tif", pages)
    go(tmp_path / "a.tif", tmp_path / "out", kinds=["mask", "restored"], margin="crop")
    one, other = (files.read(tmp_path / "out/a_restored.tif", page=n).pixels for n in (0, 1))
    found = margin.find(scan)
    assert one.shape[:2] == other.shape[:2] == (found.height, found.width)
    assert np.array_equal(other, infrared[found.window])
    assert [page.role for page in files.pages(tmp_path / "out/a_restored.tif")][1] == "infrared"
    told = lines(tmp_path / "out")[1]
    assert told["size"] == [found.height, found.width] and "cropped" in told["reason"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_mask_is_of_the_scan_or_of_the_print(tmp_path, whole):
    scan, _ = on_a_lid()
    files.write(tmp_path / "a.png", PhotoFile(scan))
    marked = np.zeros((*scan.shape[:2], 1), np.uint8)
    marked[40:44, 50:60] = 255
    window = margin.find(scan).window
    files.write_png(tmp_path / "m.png", marked if whole else marked[window])
    given = {"mask": tmp_path / "m.png"}
    go(tmp_path / "a.png", tmp_path / "out", given=given, margin="crop")
    [entry] = lines(tmp_path / "out")
    assert entry["status"] == "ok", entry
    assert np.array_equal(files.read(tmp_path / "out/a_mask.png").pixels, marked[window])


def test_infrared_bears_its_own_name(tmp_path):
    for name in ("a.tif", "a.png", "b.png", "b_IR.png"):
        files.write(tmp_path / name, PhotoFile(np.full((8, 8, 1), 90, np.uint8)))
    jobs = plan(tmp_path, tmp_path / "out", ["mask"])
    paired = masks.pair(jobs, tmp_path, "infrared", masks.INFRARED, needed=False)
    told = {job.photo.name: [path.name for path in job.inputs.values()] for job in paired}
    assert told == {"a.tif": [], "a.png": [], "b.png": ["b_IR.png"]}


def test_what_does_not_go_together_is_said(tmp_path):
    with pytest.raises(ValueError, match="margin 'cut': choose one of leave, fill, crop"):
        chain.Chain(restorer=None, out=tmp_path, margin="cut")
    with pytest.raises(ValueError, match="does not go together with infrared"):
        chain.Chain(restorer=None, out=tmp_path, margin=known.CROP, infrared=True)
