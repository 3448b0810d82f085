"""What an ImageNet classifier takes photos for: colours that are right help it, wrong ones mislead.

Top-1 accuracy on coloured photos beside that on the originals is how colouring has been judged
since Zhang et al., 2016, https://arxiv.org/abs/1603.08511 (section 3.1). Figures of different
classifiers cannot be compared: say which one a figure is of.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.metrics.imagenet import UNKNOWN
from oldphoto_jax.metrics.stream import Mean
from oldphoto_jax.models import efficientnet, resnet
from oldphoto_jax.photo.types import Array, Logits, Photo
from oldphoto_jax.weights import catalogue, names, wanted

CLASSES = 1000
SIDE, SHARE = 224, 7 / 8  # pixels a side that it sees; of the photo's short side


@dataclasses.dataclass(frozen=True)
class Published:
    """A classifier: what tables call it, and the row of the catalogue with its weights."""

    title: str
    weights: str


PUBLISHED = {
    "efficientnet-lite0": Published("EfficientNet-Lite0", "efficientnet-lite0-classifier"),
    "resnet50": Published("ResNet-50", "resnet50-classifier"),
}


class Classifier(nnx.Module):
    """One of PUBLISHED, an EfficientNet-Lite0 or Keras's ResNet-50; see `load` for weights."""

    def __init__(self, name: str = "efficientnet-lite0", *, rngs: nnx.Rngs):
        published(name)
        self.name = name
        self.network: efficientnet.EfficientNetLite | resnet.ResNet
        if name == "resnet50":
            self.network = resnet.ResNet(50, variant="keras", classes=CLASSES, rngs=rngs)
        else:
            self.network = efficientnet.EfficientNetLite(classes=CLASSES, rngs=rngs)

    def __call__(self, photo: Photo) -> Logits:
        """Maps photos [N,H,W,3], 0..1, to float32 logits [N,1000], in ImageNet's order.

        It sees the middle, a square of SHARE of the short side, as SIDE x SIDE pixels (cubic), as
        classifiers are tested; of photos of 256 x 256 pixels that is a plain crop.
        """
        seen = _middle(jnp.asarray(photo))
        if isinstance(self.network, resnet.ResNet):
            return self.network(resnet.normalize(seen, "keras"))
        return self.network(efficientnet.normalize(seen))


def published(name: str) -> Published:
    """The row of PUBLISHED. Raises ValueError, which says the names there are, without one."""
    if name not in PUBLISHED:
        raise ValueError(f"there is no classifier {name!r}; choose one of {', '.join(PUBLISHED)}")
    return PUBLISHED[name]


@functools.cache
def load(name: str) -> Classifier:
    """A classifier with its published weights, in evaluation mode.

    Raises WeightsError, which says how to get them, where they are missing.
    """
    arrays = wanted.arrays(published(name).weights)
    classifier = nnx.eval_shape(lambda: Classifier(name, rngs=nnx.Rngs(0)))
    names.fill(classifier.network, arrays)
    classifier.eval()
    return classifier


def teller(classifier: Classifier) -> Callable[[Photo], Array]:
    """Photos [N,H,W,3] in 0..1 to the number of the likeliest class of each, [N].

    At full precision on any device. Each size of photos compiles once.
    """
    graph, state = nnx.split(classifier)
    return functools.partial(_tell, graph, state)


def described(name: str) -> str:
    """All that the classes it tells depend on, beside the photos, in words."""
    own = published(name)
    digest = catalogue.find(own.weights).arrays[:16]
    return (
        f"{own.title} (weights {own.weights} {digest}), shown the middle {SHARE:g} of the short "
        f"side as {SIDE} x {SIDE} px"
    )


def accuracy(label: Array, ours: Array, truth: Array) -> dict[str, Mean]:
    """How often the classes `ours` [N], told of coloured photos, are right, over examples.

    "top-1" and "top-1 of the truth", where `label` [N] is known: NaN where none is. "agreement":
    with those told of the originals, `truth` [N], whether these are right or not.
    """
    label, ours, truth = (np.asarray(one) for one in (label, ours, truth))
    known = label != UNKNOWN
    return {
        "top-1": Mean.of((ours == label)[known]),
        "top-1 of the truth": Mean.of((truth == label)[known]),
        "agreement": Mean.of(ours == truth),
    }


@functools.partial(jax.jit, static_argnums=0)
def _tell(graph: nnx.GraphDef, state: nnx.State, photo: Photo) -> jax.Array:
    with jax.default_matmul_precision("highest"):  # else accelerators round to fewer bits
        return jnp.argmax(nnx.merge(graph, state)(photo), axis=-1)


def _middle(photo: Photo) -> jax.Array:
    count, height, width, channels = photo.shape
    side = max(1, round(SHARE * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    seen = photo[:, top : top + side, left : left + side]
    if side == SIDE:
        return seen
    return jnp.clip(jax.image.resize(seen, (count, SIDE, SIDE, channels), "cubic"), 0, 1)
