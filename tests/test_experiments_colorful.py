"""The question whether to choose among colours: what its variants differ in, and its exams."""

import pytest

from experiments import colorful, colorful_exams
from oldphoto_jax.data.sources import Samples
from oldphoto_jax.exams import colors
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.restore import stage
from oldphoto_jax.train.config import differences, to_text
from tests import untrained

CHANGED = {
    "base": set(),
    "regression": {"task.palette", "task.temperature", "task.weight.bins", "task.weight.pixel"},
    "rebalanced": {"task.balance", "task.prior"},
    "grid": {"task.palette"},
}


def test_variants_differ_in_what_they_are_called_by():
    base = to_text(colorful.get_config())
    assert set(colorful.VARIANTS) == CHANGED.keys()
    for variant, changed in CHANGED.items():
        config = colorful.get_config(variant)
        config.check()
        names = {line.split(":")[0] for line in differences(base, to_text(config))}
        names = {"task.palette" if name.startswith("task.palette.") else name for name in names}
        assert names == changed
    with pytest.raises(ValueError, match="no variant 'l2'; choose one of base, regression"):
        colorful.get_config("l2")


def test_base_sits_at_every_temperature_and_the_others_as_trained(tmp_path):
    one = untrained.painter(palette=Grid(side=5), temperature=0.5, gain=1.4)
    untrained.save(tmp_path / "weights" / "last.safetensors", one)
    exam = colors.Exam(photos=Samples("val"), count=1, size=64)
    told = colorful_exams.sit("grid", tmp_path, exam, 64)
    assert told.keys() == {"exam: PSNR", "exam: ab error", "exam: colourfulness"}
    stages = colorful_exams.methods("base", stage.load(tmp_path), 64)
    assert [one.name for one in stages] == ["T 0.1", "T 0.2", "T 0.38", "T 0.6", "T 0.8", "T 1"]
