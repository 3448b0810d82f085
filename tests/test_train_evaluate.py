import dataclasses

import numpy as np
import pytest

from oldphoto_jax.data import loader
from oldphoto_jax.train import evaluate as evaluation
from tests import toy


@dataclasses.dataclass(kw_only=True)
class Mirror(toy.Toy):
    """Predicts the photo as it is."""

    def example(self, record, rng):
        return {"photo": np.float32(record["photo"] / 255), "target": np.zeros((), np.float32)}

    def metrics(self, batch, prediction):
        assert len(batch["photo"]) == len(prediction["photo"]) == len(batch["target"])
        found = prediction["photo"]
        bright = found > 0.5
        return {
            "level": found.mean((1, 2, 3)),
            "bright": toy.Bright(np.int64(bright.sum()), np.int64(bright.size)),
        }


def predict(batch):
    assert "weight" not in batch
    return {"photo": batch["photo"]}


def batches(count, batch_size, **options):
    return loader.evaluation(
        toy.Noise(count), Mirror().example, batch_size=batch_size, threads=0, **options
    )


def photos(count):
    return np.stack([toy.Noise(count)[i]["photo"] for i in range(count)]) / np.float32(255)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8])
def test_every_example_counts_once_whatever_the_batch(batch_size):
    figures, first = evaluation.evaluate(Mirror(), predict, batches(5, batch_size))
    assert figures.keys() == {"level", "bright/share"}
    assert figures["level"] == pytest.approx(photos(5).mean(), rel=1e-6)
    assert figures["bright/share"] == pytest.approx((photos(5) > 0.5).mean())
    np.testing.assert_array_equal(first[0]["photo"], photos(5)[:batch_size])
    assert set(first[1]) == {"photo"} and len(first[1]["photo"]) == min(batch_size, 5)


def test_a_share_without_photos_adds_nothing_but_knows_the_streams():
    """The last batch of a small split may hold nothing for the later processes."""
    shares = [batches(1, 2, process_index=i, process_count=2) for i in range(2)]
    figures, first = evaluation.evaluate(Mirror(), predict, shares[0])
    assert figures["level"] == pytest.approx(photos(1).mean()) and first is not None
    nothing, first = evaluation.evaluate(Mirror(), predict, shares[1])
    assert nothing.keys() == figures.keys() and first is None
    assert np.isnan(nothing["level"])


def test_a_bad_figure_shows():
    class Bad(Mirror):
        def metrics(self, batch, prediction):
            return {"level": np.full(len(batch["photo"]), np.nan)}

    figures, _ = evaluation.evaluate(Bad(), predict, batches(4, 2))
    assert np.isnan(figures["level"])


def test_names_of_figures_are_known_without_predicting():
    names = evaluation.figure_names(Mirror(), predict, toy.Noise(1)[0])
    assert names == {"level", "bright/share"}
