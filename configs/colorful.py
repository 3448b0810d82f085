r"""Colours that people may steer: hints for some places, and the rest as the network would have it.

As in Zhang et al., 2017 (https://arxiv.org/abs/1705.02999), whose network is told the true colours
of a few points while it learns.

`:lite_hints` goes on from the packaged `colorize-lite` (configs/colorize.py:lite_filled), the same
network with three channels more. Without hints its first answer is that of `colorize-lite`; a
quarter of the photos keep having none, so that no hint costs nothing.

    python -m oldphoto_jax.main --config=configs/colorful.py:lite_hints \
        --workdir=runs/colorize-hints \
        --config.photos=PHOTOS --config.validation=MORE_PHOTOS

PHOTOS is a folder, a .txt list, tfds:NAME/SPLIT, or several of them with their shares,
"2*faces + 1*streets"; without it the packaged samples are used, which show that training works and
no more.

Cost: 1.9 GFLOP forward an example; about an hour on two CPU cores.
Expected: (not run yet). Of the figures, "hinted ab" is the error with hints as in training but of
true colours alone, "ab" that of the same photos without, to be compared with colorize-lite's 12.7.
"""

import dataclasses

from configs import colorize
from oldphoto_jax.tasks.colorize import Colorize
from oldphoto_jax.tasks.hints import Hints
from oldphoto_jax.train.config import Config

OLD = ("encoder", "center", "levels", "final")  # what a network with hints shares with one without


def get_config(variant: str = "lite_hints") -> Config:
    """Returns the configuration called "lite_hints"."""
    if variant == "lite_hints":
        return _lite_hints()
    raise ValueError(f"configs/colorful.py has no variant {variant!r}; choose 'lite_hints'")


def _lite_hints() -> Config:
    """The packaged network, which learns to listen."""
    before = colorize.get_config("lite_filled")
    if not isinstance(before.task, Colorize):
        raise TypeError(f"the task is {type(before.task).__name__} and not Colorize")
    task = dataclasses.replace(before.task, hints=Hints(), gain=1.2)
    # What was recoloured nobody can guess; the figures are of what is true
    judge = dataclasses.replace(task, hints=Hints(recoloured=0.0))
    return dataclasses.replace(
        before,
        task=task,
        judge=judge,
        weights={f"generator.{part}": "colorize-lite" for part in OLD},
        best="hinted ab",
    )
