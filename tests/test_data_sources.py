"""Sources: any folder, list or data set becomes photos by number; broken files stop nothing."""

import pickle
import shutil
import sys

import cv2
import numpy as np
import pytest
from absl import logging

from oldphoto_jax.data import several, sources


def picture(number: int, height: int = 24, width: int = 32) -> np.ndarray:
    """A photo that tells its number: uint8 [H,W,3], of this one colour."""
    return np.full((height, width, 3), (number, 100, 200 - number), np.uint8)


def encode(photo: np.ndarray, suffix: str = ".png") -> bytes:
    order = photo if photo.ndim == 2 else photo[..., [2, 1, 0, 3][: photo.shape[-1]]]
    return cv2.imencode(suffix, order)[1].tobytes()


@pytest.fixture
def folder(tmp_path):
    """Five photos: a.png, b.png, deep/c.png, deep/d.png, Früh 1913 – Königsberg.png."""
    names = ["a.png", "b.png", "deep/c.png", "deep/d.png", "Früh 1913 – Königsberg.png"]
    for number, name in enumerate(names):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(picture(number)))
    return tmp_path / "photos"


def test_a_folder_holds_all_photos_below_it_in_a_fixed_order(folder):
    (folder / "notes.txt").write_text("no photo")
    source = sources.Folder(folder)
    records = list(source)
    names = [record["name"] for record in records]
    assert names == sorted(names) and len(source) == 5
    assert {"deep/c.png", "Früh 1913 – Königsberg.png"} <= set(names)
    for number, name in enumerate(["a.png", "b.png", "deep/c.png", "deep/d.png"]):
        np.testing.assert_array_equal(records[names.index(name)]["photo"], picture(number))


def test_a_folder_can_be_narrowed_to_names(folder):
    source = sources.Folder(folder, ["deep/d.png", "gone.png", "a.png"])
    assert [record["name"] for record in source] == ["deep/d.png", "a.png"]


@pytest.mark.parametrize("index", [-1, 5])
def test_an_index_out_of_range_is_an_error(folder, index):
    with pytest.raises(IndexError, match="0 to 4"):
        sources.Folder(folder)[index]


def test_a_folder_that_is_missing_or_has_no_photos_names_itself(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*does not exist"):
        sources.Folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=f"no photos in {tmp_path}"):
        sources.Folder(tmp_path)


def test_a_broken_file_gives_way_to_the_next_readable_one(folder, caplog):
    whole = encode(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), ".jpg")
    (folder / "b.png").write_bytes(b"no photo at all")
    (folder / "deep/c.png").write_bytes(whole[: len(whole) // 2])
    (folder / "deep/d.png").write_bytes(b"")
    source = sources.Folder(folder, ["a.png", "b.png", "deep/c.png", "deep/d.png"])
    names = [source[index]["name"] for index in (0, 1, 2, 3, 2, 1)]
    assert names == ["a.png"] * 6
    assert set(source.broken) == {"b.png", "deep/c.png", "deep/d.png"}
    for name in source.broken:
        assert caplog.text.count(f"skipped {name}") == 1
    backwards = sources.Folder(folder, source.names)
    assert [backwards[index]["name"] for index in (3, 2, 1, 0)] == ["a.png"] * 4


def test_a_file_that_vanishes_during_a_run_does_not_stop_it(folder):
    source = sources.Folder(folder)
    (folder / "a.png").unlink()
    assert source[source.names.index("a.png")]["name"] == "b.png"
    assert "No such file" in source.broken["a.png"]


def test_a_folder_without_any_readable_photo_is_an_error(folder):
    for file in folder.rglob("*.png"):
        file.write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"none of the 5 photos .*photos.* can be read"):
        sources.Folder(folder)[2]


def test_a_list_may_lie_in_a_folder_beside_the_photos(folder, tmp_path):
    split = tmp_path / "splits" / "train.txt"
    split.parent.mkdir()
    split.write_text("# two\n\nphotos/deep/c.png\nphotos/Früh 1913 – Königsberg.png\n", "utf-8")
    names = [record["name"] for record in sources.Listed(split)]
    assert names == ["photos/deep/c.png", "photos/Früh 1913 – Königsberg.png"]
    beside = folder / "list.txt"
    beside.write_text("b.png\ngone.png", "utf-8-sig")
    assert [record["name"] for record in sources.Listed(beside)] == ["b.png"]


@pytest.mark.parametrize("text, complaint", [("x.png\ny.png", "none of the 2"), ("\n", "is empty")])
def test_a_list_of_nothing_is_an_error(tmp_path, text, complaint):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises((FileNotFoundError, ValueError), match=complaint):
        sources.Listed(tmp_path / "list.txt")


def test_the_samples_are_colour_photos_and_their_splits_do_not_meet():
    train, val, both = (sources.Samples(split) for split in ("train", "val", "all"))
    assert len(train) + len(val) == len(both) >= 6
    assert not set(train.names) & set(val.names)
    for record in both:
        photo = record["photo"].astype(int)
        assert min(photo.shape[:2]) >= 256 and photo.shape[2] == 3
        assert np.abs(photo - photo.mean(-1, keepdims=True)).mean() > 1  # not gray
    assert not both.broken


def test_sources_travel_to_other_processes(folder):
    source = sources.Folder(folder)
    again = pickle.loads(pickle.dumps(source))
    for one, other in zip(source, again, strict=True):
        assert one["name"] == other["name"]
        np.testing.assert_array_equal(one["photo"], other["photo"])


def test_a_mixture_keeps_its_shares_and_shows_every_photo(folder):
    small, large = sources.Folder(folder, ["a.png"]), sources.Folder(folder)
    mixed = several.Mixed([small, large], [1, 3])
    names = [record["name"] for record in mixed]
    assert len(names) == len(mixed) == 7  # 5 photos are 3 of 4 parts; 2 are the last one
    assert set(names) == set(large.names) and names.count("a.png") == 3
    assert len(several.Mixed([small, large])) == 6
    with pytest.raises(IndexError):
        mixed[7]
    with pytest.raises(ValueError, match="positive weight"):
        several.Mixed([small, large], [1, 0])


def test_joined_sources_lend_a_photo_each_under_their_names(folder):
    joined = sources.open_photos(f"photo={folder} & old=2*samples:val + 1*samples:train")
    assert len(joined) == len(sources.Folder(folder))
    first, again = joined[1], joined[1]
    assert set(first) == {"photo", "name", "old"}
    alone = sources.Folder(folder)[1]
    assert first["name"] == alone["name"] and np.array_equal(first["photo"], alone["photo"])
    assert np.array_equal(first["old"], again["old"])
    lent = [pickle.loads(pickle.dumps(joined))[n]["old"].shape for n in range(len(joined))]
    assert lent == [joined[n]["old"].shape for n in range(len(joined))]


def test_of_a_joined_source_every_photo_is_lent():
    few = [{"photo": picture(n), "name": str(n)} for n in range(3)]
    many = [{"photo": picture(0), "name": str(n)} for n in range(60)]
    joined = several.Joined({"photo": many, "old": few})
    lent = [next(n for n in range(3) if few[n]["photo"] is joined[i]["old"]) for i in range(60)]
    assert min(lent.count(n) for n in range(3)) >= 10


def test_what_can_not_be_joined_is_said():
    with pytest.raises(ValueError, match="called old, clean: the first"):
        several.Joined({"old": [1], "clean": [1]})
    with pytest.raises(ValueError, match="'old' holds no photos"):
        several.Joined({"photo": [1], "old": []})


def test_open_photos_understands_all_its_forms(folder):
    (folder / "list.txt").write_text("a.png")
    source = sources.Folder(folder)
    assert sources.open_photos(source) is source
    assert len(sources.open_photos([{"photo": picture(0), "name": "x"}])) == 1
    assert len(sources.open_photos(folder)) == len(sources.open_photos(str(folder))) == 5
    assert len(sources.open_photos(str(folder / "list.txt"))) == 1
    mixed = sources.open_photos(f"1*{folder / 'list.txt'} + 3*{folder}")
    assert [len(source) for source in mixed.sources] == [1, 5] and len(mixed) == 7
    assert len(sources.open_photos(f"0.5*{folder}")) == 5
    assert sources.open_photos("samples").split == "train"
    assert sources.open_photos("samples:val").split == "val"


@pytest.mark.parametrize("where", ["no/such/folder", "samplez", "tfds:", 7, None])
def test_open_photos_lists_its_forms_when_it_understands_nothing(where):
    with pytest.raises((FileNotFoundError, ValueError), match=r"samples:val(.|\n)*tfds:NAME"):
        sources.open_photos(where)


@pytest.mark.parametrize("where", ["0*samples", "2*samples + 0*samples:val"])
def test_a_share_of_nothing_is_refused(where):
    with pytest.raises(ValueError, match="positive weight"):
        sources.open_photos(where)


def test_open_photos_says_which_split_a_source_lacks():
    with pytest.raises(ValueError, match="'test': choose train, val, all"):
        sources.open_photos("samples:test")


def test_any_list_of_records_is_a_source():
    assert isinstance([{"photo": picture(0), "name": "x"}], sources.Photos)


def test_a_copied_folder_gives_the_same_records(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    for one, other in zip(sources.Folder(folder), sources.Folder(tmp_path / "copy"), strict=True):
        assert one["name"] == other["name"]
        np.testing.assert_array_equal(one["photo"], other["photo"])


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_folder_warns_of_what_cannot_be_read(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda *words: said.append(words[0] % words[1:]))
    (tmp_path / "a.png").write_bytes(encode(picture(1)))
    (tmp_path / "notes.txt").write_text("of 1923")
    assert sources.Folder(tmp_path).names == ["a.png"] and not said
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere")
    assert sources.Folder(tmp_path).names == ["a.png"]
    assert len(said) == 1 and "lost.png, which leads nowhere" in said[0]
