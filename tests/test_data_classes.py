"""A folder of classes: labels beside photos, in a fixed order, wherever a source is named."""

import pickle

import numpy as np
import pytest
from absl import logging

from oldphoto_jax.data import sources
from oldphoto_jax.data.classes import Classes
from tests.test_data_sources import encode, picture

NAMES = ["n01440764/b.png", "n01440764/deep/a.png", "n02123045/a.png", "tench/a.png"]


@pytest.fixture
def folder(tmp_path):
    """Three classes, one of them with photos in a folder of its own folder."""
    for number, name in enumerate(reversed(NAMES)):
        path = tmp_path / "classes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(picture(number)))
    return tmp_path / "classes"


def test_a_photo_has_the_class_of_its_folder(folder):
    source = sources.open_photos(f"classes:{folder}")
    assert source.classes == ["n01440764", "n02123045", "tench"]
    records = list(pickle.loads(pickle.dumps(source)))
    assert [record["name"] for record in records] == NAMES and len(source) == 4
    assert [record["label"] for record in records] == [0, 0, 1, 2]
    for number, record in enumerate(records):
        assert record["class"] == record["name"].partition("/")[0]
        np.testing.assert_array_equal(record["photo"], picture(3 - number))


def test_what_stands_in_for_a_broken_photo_brings_its_own_class(folder):
    (folder / NAMES[1]).write_bytes(b"no photo")
    broken = Classes(folder)[1]
    assert (broken["name"], broken["label"]) == (NAMES[2], 1)


def test_classes_are_a_part_of_mixed_and_joined_sources(folder):
    mixed = sources.open_photos(f"2*classes:{folder} + 1*samples:val")
    assert [record.get("label") for record in mixed] == [0, 0, 1, 2, None, None]
    joined = sources.open_photos(f"photo=classes:{folder} & old=samples:val")
    assert joined[3]["class"] == "tench" and joined[3]["old"].ndim == 3


def test_what_is_beside_the_folders_is_left_out_and_told(folder, monkeypatch):
    said = []
    monkeypatch.setattr(logging, "warning", lambda *words: said.append(words[0] % words[1:]))
    (folder / ".hidden").mkdir()
    assert len(Classes(folder)) == 4 and not said
    (folder / "alone.png").write_bytes(encode(picture(9)))
    source = Classes(folder)
    assert len(source) == 4
    assert said == [f"{source!r}: left out 1 files that are in no class's folder"]


def test_what_holds_no_classes_is_told_with_the_way_to_mend_it(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="classes: the folder .*nowhere does not exist"):
        sources.open_photos(f"classes:{tmp_path / 'nowhere'}")
    with pytest.raises(FileNotFoundError, match="is a file; give one that holds a folder"):
        Classes(folder / NAMES[0])
    with pytest.raises(ValueError, match="holds no folders; put the photos of each class"):
        Classes(folder / "tench")
    with pytest.raises(ValueError, match=r"hold folders and no photo; .*classes:.*classes"):
        Classes(tmp_path)
    for name in "abcd":
        (folder / name).mkdir()
    with pytest.raises(ValueError, match="no photos in 4 of the 7 folders .*: a, b, c, ...; put"):
        Classes(folder)
