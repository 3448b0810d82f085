"""Packing: what goes in comes out, in the same order, or nothing does; all without TensorFlow."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from oldphoto_jax.data import builders
from oldphoto_jax.data.sources import Folder, Source, Tfds, open_photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four noisy photos, one of them a TIFF and one gray, and a broken one."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for name in ("a.jpg", "ü.png", "c.tiff"):
        noise = rng.integers(0, 256, (40, 60, 3), np.uint8)
        cv2.imencode(Path(name).suffix, noise)[1].tofile(folder / name)
    cv2.imencode(".png", rng.integers(0, 256, (20, 30), np.uint8))[1].tofile(folder / "gray.png")
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture(scope="module")
def packed(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed")
    builders.pack({"train": str(folder), "val": Folder(folder, ["a.jpg"])}, out)
    return out


def test_photos_come_back_as_they_went_in(folder, packed):
    names = [name for name in Folder(folder).names if name != "broken.jpg"]
    source = Tfds("folder_photos", "train", str(packed))
    for before, after in zip(Folder(folder, names), source, strict=True):
        assert before["name"] == after["name"]
        np.testing.assert_array_equal(before["photo"], after["photo"])
    assert len(Tfds("folder_photos", "val", str(packed))) == 1


def test_jpeg_and_png_are_packed_byte_for_byte_and_the_rest_as_png(folder, packed):
    source = Tfds("folder_photos", "train", str(packed))
    for index in range(len(source)):
        name, data = source.encoded(index)
        if name == "c.tiff":
            assert data.startswith(b"\x89PNG")
        else:
            assert data == (folder / name).read_bytes()


def test_a_packed_source_is_opened_by_name_in_part_and_elsewhere(packed):
    source = open_photos(f"tfds:folder_photos/train@{packed}")
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(source[1]["photo"], again[1]["photo"])
    assert len(open_photos(f"tfds:folder_photos/train[:50%]@{packed}")) == 2
    assert len(open_photos(f"tfds:folder_photos@{packed}")) == 4


def test_what_is_not_there_is_an_error_with_the_mend(packed, tmp_path):
    with pytest.raises(ValueError, match=r"not prepared(.|\n)*oldphoto_jax.data.builders FOLDER"):
        Tfds("folder_photos", "train", str(tmp_path))
    with pytest.raises(ValueError, match=r"not prepared(.|\n)*tfds build no_such_set"):
        Tfds("no_such_set", "train", str(tmp_path))
    with pytest.raises(ValueError, match="no such split, but train, val"):
        Tfds("folder_photos", "test", str(packed))
    with pytest.raises(ValueError, match="no feature 'picture', but image, name"):
        Tfds("folder_photos", "train", str(packed), key="picture")


def test_packing_shrinks_only_what_is_larger_than_asked(folder, tmp_path):
    builders.pack(Folder(folder, ["a.jpg", "gray.png"]), tmp_path, side=20, quality=100)
    large, small = Tfds("folder_photos", "train", str(tmp_path))
    assert large["photo"].shape == (20, 30, 3)
    np.testing.assert_array_equal(small["photo"], Folder(folder, ["gray.png"])[0]["photo"])
    whole = Folder(folder, ["a.jpg"])[0]["photo"].astype(int)
    means = whole.reshape(20, 2, 30, 2, 3).mean((1, 3))
    assert np.abs(large["photo"] - means).mean() < 1


class Interrupted(Source):
    """Photos whose disk is pulled after the first."""

    def __init__(self, folder: Folder, how: type[BaseException]):
        super().__init__()
        self.folder, self.how = folder, how

    def __len__(self):
        return len(self.folder)

    def encoded(self, index):
        if index:
            raise self.how("pulled")
        return self.folder.encoded(index)


@pytest.mark.parametrize("how", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_packing_leaves_nothing_that_opens(folder, tmp_path, how):
    with pytest.raises(how):
        builders.pack(Interrupted(Folder(folder, ["a.jpg", "ü.png"]), how), tmp_path)
    with pytest.raises(ValueError, match="not prepared"):
        Tfds("folder_photos", "train", str(tmp_path))
    builders.pack(str(folder), tmp_path)
    assert len(Tfds("folder_photos", "train", str(tmp_path))) == 4


def test_a_killed_packing_leaves_nothing_that_opens(packed, tmp_path):
    remains = tmp_path / "folder_photos" / "incomplete.ABCDEF_1.0.0"
    remains.mkdir(parents=True)
    for file in (packed / "folder_photos" / "1.0.0").glob("*.array_record*"):
        (remains / file.name).write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="not prepared"):
        Tfds("folder_photos", "train", str(tmp_path))


def test_bad_requests_are_errors(folder, packed, tmp_path):
    with pytest.raises(FileExistsError, match="packed already"):
        builders.pack(str(folder), packed)
    with pytest.raises(ValueError, match="quality=0"):
        builders.pack(str(folder), tmp_path, quality=0)
    with pytest.raises(ValueError, match="no encoded files"):
        builders.pack([{"photo": np.zeros((2, 2, 3), np.uint8), "name": "x"}], tmp_path)
    with pytest.raises(ValueError, match="none of the 1 photos"):
        builders.pack(Folder(folder, ["broken.jpg"]), tmp_path)
    with pytest.raises(ValueError, match="use oldphoto_jax.data.builders.pack"):
        builders.FolderPhotos(data_dir=str(tmp_path)).download_and_prepare()


def test_the_command_packs_and_says_how_to_read(folder, tmp_path, capsys):
    builders.main([f"train={folder}", f"val={folder}", "--out", str(tmp_path), "--side", "16"])
    address = f"tfds:folder_photos/val@{tmp_path}"
    assert address in capsys.readouterr().out
    assert {min(record["photo"].shape[:2]) for record in open_photos(address)} == {16}
    with pytest.raises(SystemExit):
        builders.main([str(folder), str(folder), "--out", str(tmp_path)])


def test_other_data_sets_name_their_photos_by_number(folder, tmp_path):
    class Nameless(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        url_infos = None

        def _info(self):
            features = tfds.features.FeaturesDict({"picture": tfds.features.Image()})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield 0, {"picture": (folder / "a.jpg").read_bytes()}

    Nameless(data_dir=str(tmp_path), file_format="array_record").download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    record = Tfds("nameless", "train", str(tmp_path), key="picture")[0]
    assert record["name"] == "nameless/train/000000"
    np.testing.assert_array_equal(record["photo"], Folder(folder, ["a.jpg"])[0]["photo"])
