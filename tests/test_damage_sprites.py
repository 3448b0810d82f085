"""Texture folders: what a file is taken for, what is held out, what is refused."""

import pickle

import cv2
import numpy as np
import pytest

from oldphoto_jax.damage import sprites
from oldphoto_jax.damage.defects import KINDS
from oldphoto_jax.damage.recipe import Damage

SHAPE = (96, 96)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("textures")
    for name in ("film/hair", "film/blob", "cracks", "paper"):
        (root / name).mkdir(parents=True)
    line = np.zeros((60, 200), np.uint8)
    cv2.line(line, (5, 10), (190, 50), 255, 2)
    cv2.imwrite(str(root / "film/hair/a.png"), line)
    blob = np.zeros((120, 120, 4), np.uint8)
    cv2.circle(blob, (60, 60), 50, (40, 40, 40, 255), -1)
    cv2.imwrite(str(root / "film/blob/a.png"), blob)
    cv2.imwrite(str(root / "cracks/a.png"), 255 - line)
    grain = np.random.default_rng(0).normal(128, 6, (64, 48)).astype(np.uint8)
    cv2.imwrite(str(root / "paper/a.png"), grain)
    return str(root)


def test_a_folder_is_a_kind_and_its_first_picture_says_of_what(folder):
    textures = sprites.Textures(folder)
    assert set(textures.shapes) == {"cracks", "film/blob", "film/hair"}
    assert set(textures.grains) == {"paper"}


def test_sprites_are_seeded_shapes_no_thicker_than_allowed(folder):
    textures = sprites.Textures(folder)
    for kind in textures.shapes:
        drawn = [textures.draw(kind, SHAPE, np.random.default_rng(s), 24) for s in range(8)]
        again = textures.draw(kind, SHAPE, np.random.default_rng(3), 24)
        np.testing.assert_array_equal(drawn[3], again)
        assert all(a.shape == SHAPE and a.dtype == np.float32 for a in drawn)
        assert sum(a.max() > 0.3 for a in drawn) >= 6
        assert all((a > 0.5).mean() < 0.5 for a in drawn)  # black on white is turned around


def test_grain_is_neutral_and_fills_any_shape(folder):
    grain = sprites.Textures(folder).grain((150, 200), np.random.default_rng(0))
    assert grain.shape == (150, 200)
    assert abs(grain.mean()) < 0.005 and 0.01 < grain.std() < 0.05


def test_recipe_draws_textures_and_never_held_out_kinds(folder, monkeypatch):
    drawn = []
    draw = sprites.Textures.draw

    def watch(self, kind, *rest):
        drawn.append(kind)
        return draw(self, kind, *rest)

    monkeypatch.setattr(sprites.Textures, "draw", watch)
    photo = np.full((*SHAPE, 3), 0.5, np.float32)
    weights = dict.fromkeys(KINDS, 0.01)
    recipe = Damage(textures=folder, exclude=("film", "scratch"), weights=weights, clean=0.0)
    assert "cracks" in recipe.kinds() and "crease" in recipe.kinds()
    assert not {"film/hair", "film/blob", "scratch"} & set(recipe.kinds())
    for seed in range(12):
        recipe(photo, np.random.default_rng(seed))
    assert set(drawn) == {"cracks"}


def test_textures_and_recipe_pickle(folder):
    recipe = pickle.loads(pickle.dumps(Damage(textures=folder)))
    textures = pickle.loads(pickle.dumps(sprites.Textures(folder)))
    assert textures.shapes == sprites.Textures(folder).shapes
    photo = np.full((*SHAPE, 3), 0.5, np.float32)
    mine, theirs = (r(photo, np.random.default_rng(1)) for r in (Damage(textures=folder), recipe))
    np.testing.assert_array_equal(mine["photo"], theirs["photo"])


def test_unusable_files_are_named_once_and_empty_folders_refused(tmp_path):
    with pytest.raises(ValueError, match="no picture"):
        sprites.Textures(tmp_path)
    with pytest.raises(ValueError, match="not a folder"):
        sprites.Textures(tmp_path / "missing")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="2 unusable"), pytest.raises(ValueError, match="no pic"):
        sprites.Textures(tmp_path)
    cv2.imwrite(str(tmp_path / "line.png"), np.eye(40, dtype=np.uint8) * 255)
    with pytest.warns(UserWarning, match=r"broken\.png.*notes\.txt"):
        textures = sprites.Textures(tmp_path)
    assert list(textures.shapes) == [tmp_path.name]
