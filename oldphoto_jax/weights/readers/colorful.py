"""Published PyTorch weights of Zhang et al.'s colouring networks, by the tables of `torch`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from oldphoto_jax.weights.readers.torch import Renaming, convert, layer_rows, norm_rows
from oldphoto_jax.weights.store import WeightsError

CONVOLUTIONS = (2, 2, 3, 3, 3, 3, 3)  # of model1 to model7
AB_SCALE = 110  # the files hold a and b over this
TOLERANCE = 0.1  # of a and b
# SHA-256 of the 313 colours, a and b as 16-bit integers, row by row in the published order
COLOURS = "e74b520cf1929e90ad9f051db10931e8ac5d1534c6cedabd7bfeba7a78a96c89"


def eccv16(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of `colorizers.eccv16` for `models.colorful.ECCV16`.

    Raises WeightsError.
    """
    rows = [*_encoder()]
    rows += layer_rows("model8.0", "enlarge", "deconv")
    rows += layer_rows("model8.2", "convs.0", "conv")
    rows += layer_rows("model8.4", "convs.1", "conv")
    rows += layer_rows("model8.6", "logits", "conv")
    rows.append(Renaming("model_out.weight", "centres", "conv"))
    arrays = convert(state, rows)
    return arrays | {"centres": AB_SCALE * arrays["centres"][0, 0]}


def published_eccv16(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same of the published file, whose classes are known colours; raises WeightsError."""
    arrays = eccv16(state)
    centres = arrays["centres"]
    whole = np.rint(centres)
    digest = hashlib.sha256(whole.astype("<i2").tobytes()).hexdigest()
    if digest != COLOURS or np.abs(centres - whole).max() > TOLERANCE:
        raise WeightsError(
            f"model_out.weight times {AB_SCALE} is {np.round(centres[:3], 2).tolist()} ..., not "
            "the a and b of the published 313 colours, [-90, 50], [-90, 60], [-90, 70] ...: this "
            "file chooses among others, or in another order"
        )
    return arrays


def siggraph17(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of `colorizers.siggraph17` for `models.colorful.SIGGRAPH17`.

    Those of colorization-pytorch have the same names. Raises WeightsError.
    """
    rows = [*_encoder()]
    for here, skip in (8, 3), (9, 2), (10, 1):
        rows += layer_rows(f"model{here}up.0", f"up{here}.enlarge", "deconv")
        rows += layer_rows(f"model{skip}short{here}.0", f"up{here}.skip", "conv")
    rows += layer_rows("model8.1", "block8.convs.0", "conv")
    rows += layer_rows("model8.3", "block8.convs.1", "conv")
    rows += norm_rows("model8.5", "block8.norm")
    rows += layer_rows("model9.1", "block9.convs.0", "conv")
    rows += norm_rows("model9.3", "block9.norm")
    rows += layer_rows("model10.1", "conv10", "conv")
    rows += layer_rows("model_class.0", "logits", "conv")
    rows += layer_rows("model_out.0", "out", "conv")
    return convert(state, rows)


def _encoder() -> Iterator[Renaming]:
    """The seven blocks that both begin with; a ReLU follows every convolution there."""
    for i, count in enumerate(CONVOLUTIONS):
        for j in range(count):
            yield from layer_rows(f"model{i + 1}.{2 * j}", f"encoder.{i}.convs.{j}", "conv")
        yield from norm_rows(f"model{i + 1}.{2 * count}", f"encoder.{i}.norm")
