"""What a critic's scores cost the critic (judge) and the generator (fool).

Scores are raw, of any shape, high for real photos; every position counts alike (patch critics
give a map of them). All losses are computed in float32 and return a scalar.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from oldphoto_jax.photo.types import Array


def judge_hinge(real: Array, fake: Array) -> jax.Array:
    """Critic: real scores above 1, fake ones below -1. Both sides are added, not averaged.

    Lim and Ye, 2017, https://arxiv.org/abs/1705.02894.
    """
    return jax.nn.relu(1 - jnp.float32(real)).mean() + jax.nn.relu(1 + jnp.float32(fake)).mean()


def fool_hinge(fake: Array) -> jax.Array:
    """Generator: fake scores as high as possible."""
    return -jnp.float32(fake).mean()


def judge_least_squares(real: Array, fake: Array) -> jax.Array:
    """Critic: real scores to 1, fake ones to 0; the mean of both squared errors.

    Mao et al., 2017, https://arxiv.org/abs/1611.04076.
    """
    errors = jnp.square(jnp.float32(real) - 1).mean() + jnp.square(jnp.float32(fake)).mean()
    return errors / 2


def fool_least_squares(fake: Array) -> jax.Array:
    """Generator: fake scores to 1."""
    return jnp.square(jnp.float32(fake) - 1).mean()


def fool_non_saturating(fake: Array) -> jax.Array:
    """Generator: -log sigmoid(score), strong where the critic is sure of itself.

    Goodfellow et al., 2014, https://arxiv.org/abs/1406.2661.
    """
    return jax.nn.softplus(-jnp.float32(fake)).mean()
