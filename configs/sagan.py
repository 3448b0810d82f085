r"""Makes faces of noise: a generator and a critic with self-attention, 64 x 64 pixels.

SAGAN (Zhang et al., 2019, https://arxiv.org/abs/1805.08318) without classes, in the form of
heykeetae's code: transposed convolutions and batch norm against convolutions, spectral
normalization and attention after the third and fourth level of both, hinge losses, Adam of 1e-4
for the generator and 4e-4 for the critic, without momentum, one move each at every step:

    python -m oldphoto_jax.main --config=configs/sagan.py --workdir=runs/sagan \
        --config.photos=FACES --config.validation=MORE_FACES

FACES is a folder, a .txt list or tfds:NAME/SPLIT of portraits, each photo a face that fills it,
such as CelebA's aligned ones; without it the packaged samples are used, which show that training
works and no more. The picture sheets have faces that were made beside true ones; more of them,
from Python:

    loaded = oldphoto_jax.restore.stage.load("runs/sagan")
    noise = numpy.random.default_rng(0).standard_normal((16, 128), "float32")
    faces = loaded.predict(loaded.params, {"noise": noise})["photo"]  # [16,64,64,3], 0..1

Cost: about 1.4 GFLOP forward an example, both players' moves together; made for an accelerator.
Expected: (not run yet). The paper's figures are those of ImageNet's classes at 128 x 128 pixels;
those of the validation here compare thumbnails of 8 x 8 pixels and are no FID.
"""

from oldphoto_jax.tasks.sagan import Sagan
from oldphoto_jax.train.config import Config
from oldphoto_jax.train.optimizer import Adam

BETAS = (0.0, 0.9)


def get_config() -> Config:
    """Returns the only configuration."""
    return Config(
        task=Sagan(),
        optimizers={
            "generator": Adam(rate=1e-4, betas=BETAS),
            "critic": Adam(rate=4e-4, betas=BETAS),
        },
        batch_size=64,
        validation_batch=64,
        steps=400_000,
        evaluate_every=10_000,
        save_every=2_000,
        sheet_rows=8,
        workers=8,
    )
