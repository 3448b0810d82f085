"""Counting colours: every photo counts the same, and the command says what went wrong."""

import numpy as np
import pytest

from oldphoto_jax.data import prior as counting
from oldphoto_jax.photo import prior
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.palette import Grid


def photo(height, colour):
    return {"photo": np.full((height, 40, 3), colour, np.uint8), "name": "a"}


def test_photos_count_alike_whatever_their_size_and_gray_ones_not_at_all():
    red, blue, gray = (220, 40, 40), (40, 60, 200), (90, 90, 90)
    photos = [photo(20, red), photo(200, blue), photo(30, gray)]
    for palette in (AbBins(), Grid(side=9)):
        shares, counted = counting.count(photos, palette)
        assert counted == 2 and np.sort(shares)[-2:] == pytest.approx([0.5, 0.5])
        assert shares.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="none of the 1 photos"):
        counting.count([photo(9, gray)], AbBins())


def test_the_command_writes_what_training_reads(tmp_path, capsys):
    out = tmp_path / "prior.csv"
    assert counting.main(["samples:val", "--out", str(out), "--grid=9"]) == 0
    assert "81 colours in 2 photos" in capsys.readouterr().out
    palette = Grid(side=9)
    shares = prior.read(out, palette)
    assert shares.sum() == pytest.approx(1)
    assert np.linalg.norm(palette.centres[shares.argmax()] - 0.5) < 0.1  # nearly gray
    assert counting.main([str(tmp_path / "none"), "--out", str(out)]) == 1
    assert "is no source of photos" in capsys.readouterr().err
