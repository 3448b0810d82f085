"""Rematerialisation: activations that are computed a second time instead of being kept.

The gradient of a network asks for the activations of its forward pass. Kept, they are what fills a
device at full resolution; computed again from the input of their block, they cost a forward pass
more (Chen et al., 2016, https://arxiv.org/abs/1604.06174).
"""

from __future__ import annotations

from typing import Any

from flax import nnx


def call(module: nnx.Module, *inputs: Any, again: bool) -> Any:
    """`module(*inputs)`; with `again` what is inside is computed anew for the gradient, not kept.

    Values and gradients are the same. Statistics of batch norm move once.
    """
    return nnx.remat(_forward)(module, *inputs) if again else _forward(module, *inputs)


def _forward(module: Any, *inputs: Any) -> Any:
    return module(*inputs)
