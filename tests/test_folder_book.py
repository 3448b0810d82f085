"""Photos of several pages through the chain. Its networks are the rules of `test_folder_chain`."""

import hashlib

import cv2
import numpy as np
import pytest

from oldphoto_jax.folder import browse, chain, outputs, page, single, written
from oldphoto_jax.folder.jobs import Job, plan
from oldphoto_jax.photo.disk import files
from oldphoto_jax.photo.disk.files import PhotoFile
from oldphoto_jax.restore.inpaint import Inpainter
from tests import test_folder_chain
from tests.test_folder_chain import PICTURES, SIZE, go, last, lines, scratched

rules = test_folder_chain.rules
SMALL = (20, 28)


def plain(size=SIZE, dtype=np.uint8):
    """A page in colour where nothing is to be done."""
    pixels = np.zeros((*size, 3), dtype)
    half, full = size[0] // 2, np.iinfo(dtype).max // 255
    pixels[:half], pixels[half:] = np.multiply([[120, 10, 10], [10, 60, 110]], full)
    return pixels


def bound(path, *pages, roles=()):
    """Writes a TIFF photo of these pages, deeper ones with a resolution."""
    path.parent.mkdir(parents=True, exist_ok=True)
    roles = [*roles, *["photo"] * (len(pages) - len(roles))]
    photos = [
        PhotoFile(pixels, role=role, resolution=(300, 300) if pixels.itemsize == 2 else None)
        for pixels, role in zip(pages, roles, strict=True)
    ]
    files.write_pages(path, photos)
    return path


@pytest.fixture
def three(tmp_path):
    pages = scratched(3), scratched(1, np.uint16, SMALL, seed=1), plain()
    return bound(tmp_path / "in" / "a.tif", *pages)


def read(path):
    """All pages of a file."""
    return [files.read(path, page=one.index) for one in files.pages(path)]


def made(out):
    return {path.name for path in out.glob("*.*") if path.name != "report.jsonl"}


def test_all_pages_are_restored_into_one_file_and_each_has_its_line(tmp_path, three):
    out = tmp_path / "out"
    assert go(three, out) == {"ok": 1}
    named = {f"a_{page}{kind}.png" for page in ("", "p2_", "p3_") for kind in ("mask", "prob")}
    assert made(out) == named | {f"a_{kind}.tif" for kind in PICTURES}
    told = lines(out)
    assert [(line["photo"], line["page"], line.get("pages")) for line in told] == [
        ("a.tif", 1, 3),
        ("a.tif", 2, None),
        ("a.tif", 3, None),
    ]
    assert [line["status"] for line in told] == ["ok", "ok", "nothing_to_do"]
    assert all("further" not in line and line["settings"] and line["seconds"] for line in told)
    assert told[1]["files"]["mask"] == "a_p2_mask.png"
    assert told[1]["files"]["restored"] == "a_restored.tif" == told[0]["files"]["restored"]
    came, restored, colored = (
        read(path) for path in (three, out / "a_restored.tif", out / "a_color.tif")
    )
    for n, (before, after) in enumerate(zip(came, restored, strict=True)):
        kind = "mask" if n == 0 else f"p{n + 1}_mask"
        mask = files.read(out / f"a_{kind}.png").pixels[..., 0]
        far = cv2.dilate(mask, np.uint8([[0, 1, 0], [1, 1, 1], [0, 1, 0]])) == 0
        assert after.pixels.dtype == before.pixels.dtype and after.resolution == before.resolution
        assert np.array_equal(after.pixels[far], before.pixels[far])
        assert far.all() == np.array_equal(after.pixels, before.pixels) == (n == 2)
        digest = hashlib.sha256(after.pixels[far].tobytes()).hexdigest()
        share = pytest.approx(far.mean(), abs=1e-6)
        said = told[n]["untouched"]
        assert said["restored"] == {"share": share, "identical": True, "sha256": [digest] * 2}
        assert said["color"]["share"] == (n != 1)  # the second is gray and gets colours
    assert [len(one.pixels[0, 0]) for one in colored] == [3, 3, 3]


def test_a_photo_of_which_no_page_changes_is_copied_byte_for_byte(tmp_path):
    photo = bound(tmp_path / "a.tif", plain(), plain(SMALL, np.uint16))
    with photo.open("ab") as file:
        file.write(b"of the maker")
    assert go(photo, tmp_path / "out") == {"nothing_to_do": 1}
    for kind in PICTURES:
        assert (tmp_path / "out" / f"a_{kind}.tif").read_bytes() == photo.read_bytes()
    for line, one in zip(lines(tmp_path / "out"), read(photo), strict=True):
        digest = hashlib.sha256(one.pixels.tobytes()).hexdigest()
        same = {"share": 1.0, "identical": True, "sha256": [digest] * 2}
        assert line["copied"] == [*PICTURES] and line["untouched"]["color"] == same


@pytest.mark.parametrize("pages", [(plain(), scratched(3)), (scratched(3), plain())])
def test_one_changed_page_is_enough_to_write_all(tmp_path, pages):
    photo = bound(tmp_path / "a.tif", *pages)
    assert go(photo, tmp_path / "out", kinds=["restored"]) == {"ok": 1}
    restored = [one.pixels for one in read(tmp_path / "out" / "a_restored.tif")]
    changed = [not np.array_equal(*pair) for pair in zip(restored, pages, strict=True)]
    assert changed == [pixels.max() == 255 for pixels in pages]
    assert [line["untouched"]["identical"] for line in lines(tmp_path / "out")] == [True, True]


@pytest.mark.parametrize("role", ["preview", "mask", "infrared"])
def test_what_is_no_photo_is_carried_along(tmp_path, role):
    size = SIZE if role == "infrared" else SMALL
    other = scratched(1, size=size, seed=3)
    photo = bound(tmp_path / "a.tif", scratched(3), other, roles=["photo", role])
    assert go(photo, tmp_path / "out") == {"ok": 1}
    assert not [*(tmp_path / "out").glob("*p2*")]
    for kind in PICTURES:
        path = tmp_path / "out" / f"a_{kind}.tif"
        assert [one.role for one in files.pages(path)] == ["photo", role]
        assert np.array_equal(files.read(path, page=1).pixels, other)
    line = lines(tmp_path / "out")[1]
    assert (line["page"], line["role"], line["status"]) == (2, role, "nothing_to_do")
    assert (
        line["reason"].endswith("kept as it came") and line["untouched"]["restored"]["share"] == 1
    )


def test_other_formats_get_a_file_for_each_page(tmp_path):
    pages = scratched(3), scratched(3, size=SMALL), plain((10, 14))
    photo = bound(tmp_path / "a.tif", *pages, roles=["photo", "photo", "preview"])
    out = tmp_path / "out"
    assert go(photo, out, form="png", kinds=["mask", "restored"]) == {"ok": 1}
    assert made(out) == {f"a_{n}{kind}.png" for n in ("", "p2_") for kind in ("mask", "restored")}
    assert files.read(out / "a_p2_restored.png").pixels.shape[:2] == SMALL
    told = lines(out)
    assert told[1]["files"] == {"mask": "a_p2_mask.png", "restored": "a_p2_restored.png"}
    assert "left out, for only TIFF holds several pages" in told[2]["reason"]
    assert go(photo, out, form="png", kinds=["mask", "restored"]) == {"nothing_to_do": 1}


def test_a_run_goes_on_where_pages_miss_files(tmp_path, three, monkeypatch):
    out = tmp_path / "out"
    go(three, out)
    before = {path: path.read_bytes() for path in out.glob("a_*")}
    assert go(three, out) == {"nothing_to_do": 1} and len(lines(out)) == 4
    asked = test_folder_chain.count_questions(monkeypatch)
    for victim in ("a_p2_mask.png", "a_color.tif"):
        (out / victim).unlink()
        assert go(three, out) == {"ok": 1}
        assert {path: path.read_bytes() for path in out.glob("a_*")} == before
    assert not asked  # for the probabilities of each page are there
    assert go(three, out, threshold=0.9) == {"failed": 1}
    assert go(three, out, threshold=0.9, force=True) == {"ok": 1} and not asked


def test_a_page_that_cannot_be_done_fails_the_photo_and_leaves_nothing(
    tmp_path, three, monkeypatch
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(chain.Chain, "_finish", failing(3))
        assert go(three, out) == {"failed": 1}
    assert lines(out)[-1]["reason"] == "page 3: too hard" and not made(out)
    assert [*out.glob(".*.part")] == []
    assert go(three, out) == {"ok": 1}


def failing(number):
    """`Chain._finish`, but for one call."""
    real, calls = chain.Chain._finish, []

    def finish(self, *arguments):
        calls.append(1)
        if len(calls) == number:
            raise ValueError("too hard")
        return real(self, *arguments)

    return finish


def test_masks_of_further_pages_have_their_number(tmp_path, three):
    masks = tmp_path / "masks"
    for name, size in {"a_mask": SIZE, "a_p2_mask": SMALL, "a_p3_mask": SIZE}.items():
        mask = np.zeros((*size, 1), np.uint8)
        mask[3:6, 4:20] = 255
        test_folder_chain.save(masks / f"{name}.png", mask)
    out, kinds = tmp_path / "out", ["mask", "restored"]
    assert go(three, out, kinds=kinds, pair=masks) == {"ok": 1}
    for before, after in zip(read(three), read(out / "a_restored.tif"), strict=True):
        changed = (before.pixels != after.pixels).any(axis=-1)
        assert changed[3:6, 4:20].all() and not changed[8:].any()
    assert [*lines(out)[0]["inputs"]] == ["mask", "p2_mask", "p3_mask"]
    (masks / "a_p3_mask.png").unlink()
    assert go(three, tmp_path / "two", kinds=kinds, pair=masks) == {"failed": 1}
    assert "a_p3_mask.png" in lines(tmp_path / "two")[0]["reason"]
    assert go(three, tmp_path / "one", kinds=kinds, pair=masks / "a_mask.png") == {"failed": 1}
    assert "has 3 pages and one mask" in lines(tmp_path / "one")[0]["reason"]


@pytest.mark.parametrize("changed", [True, False])
def test_single_steps_carry_further_pages_and_say_so(tmp_path, three, changed):
    mask = np.zeros((*SIZE, 1), np.uint8)
    mask[3:6, 4:20] = 255 * changed
    given = {"mask": test_folder_chain.save(tmp_path / "m.png", mask)}
    for ending in (".tif", ".png"):
        job = Job(three, "a.tif", {"restored": tmp_path / f"b{ending}"}, given)
        told = single.Filling(Inpainter(method="telea"))(job)
        assert told["notes"] == ["2 further pages: `oldphoto restore` looks at all of them"]
    assert told["left_out"] == {"restored": ["2 further pages"]}
    came, restored = read(three), read(tmp_path / "b.tif")
    same = [
        np.array_equal(*(one.pixels for one in pair)) for pair in zip(came, restored, strict=True)
    ]
    assert same == [not changed, True, True]
    assert ((tmp_path / "b.tif").read_bytes() == three.read_bytes()) == (not changed)


def test_no_file_of_a_page_is_called_as_that_of_another_photo(tmp_path, three):
    test_folder_chain.save(three.parent / "a_p2.png", scratched(seed=4))
    jobs = plan(three.parent, tmp_path / "out", ["mask"], pages=written.pages)
    paths = [path for job in jobs for path in job.outputs.values()]
    assert len({*paths}) == len(paths) == 4


def test_the_contact_page_shows_all_pages(tmp_path, three):
    made = {}
    for name, early in {"early": True, "late": False}.items():
        out = tmp_path / name
        go(three, out, page=early, kinds=["mask", "restored"])
        jobs = plan(three, out, ["mask", "restored"], outputs.suffix, written.pages)
        browse.write_page(out, jobs)
        text = (out / "index.html").read_text("utf-8")
        assert "a.tif, page 2" in text and "a.tif, page 3" in text
        made[name] = test_folder_chain.thumbnails(out)
    assert made["early"] == made["late"] and "restored/a.tif/2.jpg" in made["late"]
    bound(three, scratched(3), scratched(3, seed=2))
    go(three, out, kinds=["mask", "restored"], force=True)
    assert [*page.collect(out, outputs.STAGE)] == ["a.tif", "a.tif/2"]
    assert [*last(out)] == ["a.tif"]
