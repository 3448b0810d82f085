"""What a weights file says of itself, for whoever is to use its arrays."""

import json
from collections.abc import Mapping

from oldphoto_jax import described
from oldphoto_jax.predictors import older
from oldphoto_jax.predictors.predictor import KEY, Predictor


def read(metadata: Mapping[str, str]) -> Predictor | None:
    """The predictor of a weights file, or None where it holds arrays alone.

    Nothing else in the metadata is looked at: the configuration of a training is text for people.
    Raises ValueError for what is no predictor of this version.
    """
    if KEY not in metadata:
        return older.read(metadata[older.KEY]) if older.KEY in metadata else None
    predictor = described.restore(older.mended(json.loads(metadata[KEY])))
    if not isinstance(predictor, Predictor):
        raise ValueError(f"the text describes a {type(predictor).__name__}, not a predictor")
    return predictor
