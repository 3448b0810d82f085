"""Colouring with two heads on one trunk, of which each learns in its turn.

As Zhang et al., 2017 (https://arxiv.org/abs/1705.02999) trained their network: first the trunk
learns with the head that chooses among colours, then with the one that names a and b for every
pixel, told hints. The other head learns beside, from features that it cannot change.
"""

import dataclasses

import jax
from flax import nnx

from oldphoto_jax.models import colorful
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.types import Batch
from oldphoto_jax.predictors.predictor import Networks
from oldphoto_jax.task import Terms
from oldphoto_jax.tasks.colorize import Colorize

HEADS = ("classes", "names")


@dataclasses.dataclass(kw_only=True)
class TwoHeads(Colorize):
    """Player: the `generator` of a `ColorPredictor`, a SIGGRAPH17, which names its colours.

    Which of `classes` they are it says while it learns alone. Its terms are "bins" of the classes
    and "pixel" of the names.
    """

    network: colorful.SIGGRAPH17Blueprint = dataclasses.field(
        default_factory=colorful.SIGGRAPH17Blueprint
    )
    plane: str = "ab"
    classes: AbBins = dataclasses.field(default_factory=lambda: AbBins(whole=True, neighbours=1))
    head: str = "classes"  # or "names": the one with which the trunk learns

    @property
    def choices(self) -> AbBins:
        """The colours that "bins" compares."""
        return self.classes

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The generator alone. Raises ValueError for settings that no network has."""
        if self.head not in HEADS:
            raise ValueError(f"head {self.head!r} is unknown; choose one of {list(HEADS)}")
        if others := {name for name, w in self.weight.items() if w} - {"bins", "pixel"}:
            raise ValueError(
                f"weight has {sorted(others)}; two heads learn by bins and pixel alone"
            )
        return super().networks(rngs)

    def paint(self, nets: Networks, batch: Batch) -> Terms:
        """What the colours of both heads cost, each term times its weight."""
        net = nets["generator"]
        trunk = net.trunk(*self.predictor().told(batch))
        still = jax.lax.stop_gradient(trunk)
        first, second = (trunk, still) if self.head == "classes" else (still, trunk)
        terms = {
            "bins": self.bins(net.classes(first), batch),
            "pixel": self.pixel(net.tail(second), batch),
        }
        return {name: w * terms[name] for name, w in self.weight.items() if w}
