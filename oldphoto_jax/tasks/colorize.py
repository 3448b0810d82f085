"""Colouring: luma is a contract, chroma is learned.

The third stage of the Mail.ru restorer (https://habr.com/ru/companies/vk/articles/459696/): a
U-Net on an ImageNet encoder predicts Cb and Cr from Y, first by their distance alone (L1), then
with a self-attention critic beside it (Zhang et al., 2019, https://arxiv.org/abs/1805.08318),
then with VGG-16's low layers in place of the distance. Which of these terms there are says
`weight` ("match" compares what the critic sees on its way, Wang et al., 2018,
https://arxiv.org/abs/1711.11585; "bins" chooses among colours, Zhang et al., 2016,
https://arxiv.org/abs/1603.08511): the critic and VGG-16 exist where a term asks for them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.damage import fading
from oldphoto_jax.damage.strokes import Holes
from oldphoto_jax.losses import adversarial, bins, feature, pixel
from oldphoto_jax.losses.balance import balanced_l1, rarity
from oldphoto_jax.metrics import color as color_metrics
from oldphoto_jax.metrics import image as image_metrics
from oldphoto_jax.models import discriminators, efficientnet, lite_unet, resnet, unet, vgg
from oldphoto_jax.photo import color, guided, image, inpaint, palette
from oldphoto_jax.photo.types import Array, Batch
from oldphoto_jax.task import Loss, Networks, Task, Terms
from oldphoto_jax.tasks.crop import view

WEIGHT = {"pixel": 1.0, "bins": 0.0, "perceptual": 0.0, "fool": 0.0, "match": 0.0}
VIVID, MOST = 0.62, 2.0  # more makes wrong colours, which pale ones hide, too striking
TAPS = feature.COLOR_LAYERS
RIVALRY = {  # how the critic judges and how the generator fools it
    "hinge": (adversarial.judge_hinge, adversarial.fool_hinge),
    "least squares": (adversarial.judge_least_squares, adversarial.fool_least_squares),
}


@dataclasses.dataclass(kw_only=True)
class Colorize(Task):
    """Players: the `generator`, gray photo -> chroma, and the `critic` where `weight` wants one.

    The generator is an AlbuNet on a ResNet, or with `network` "lite" a LiteUNet, whose three inputs
    all get the gray photo. Chroma is predicted at 1/`stride` of the photo's sides and compared and
    judged there, beside luma of that size; for a whole photo it is enlarged by a guided filter,
    which takes the edges from luma. With a `palette` the generator says of that many colours a side
    (`photo.palette`) how likely they are; "bins" compares that with the truth, and "pixel" their
    mean, while a photo, the critic and VGG-16 get to see the mean at `temperature`.
    """

    size: int = 256  # side of the training crop, pixels
    share: tuple[float, float] = (0.6, 1.0)  # of the photo's short side that the crop shows
    age: float = 0.5  # share of the photos that are aged first: soft, grainy, faded
    filled: float = 0.0  # share of the photos with filled `holes`, as the stage before leaves them
    holes: Holes = dataclasses.field(
        default_factory=lambda: Holes(max_size=32, strokes=1.0, large=0.2)
    )
    network: str = "albunet"  # or "lite", which has `widths` and a `stride` of 4
    widths: tuple[int, ...] = lite_unet.WIDTHS[:3]  # of its decoder, the deepest first
    palette: int = 0  # colours a side to choose among, an odd number; 0 = it names the colour
    temperature: float = 1.0  # 1 = the mean colour, towards 0 the likeliest
    depth: int = 50
    stages: int = 4  # of the encoder; 3 leaves out the deepest and most of the weights
    variant: str = "keras"  # of the encoder; "torch" for torchvision's weights
    width: int = 64  # of the encoder's first stage; ImageNet's weights have 64
    decoder_width: int = 32
    squeeze: bool = False  # narrow the decoder's inputs by 1x1 convolutions
    decoder_norm: bool = False  # batch norm in the decoder, too
    stride: int = 2  # or 4
    critic_width: int = 64
    critic_levels: int = 4
    attention: tuple[int, ...] = (3, 4)  # levels of the critic after which it looks everywhere
    rivalry: str = "hinge"  # or "least squares"
    balance: float = 1.0  # 1 = all colours count alike; less = rare colours count for more
    gain: float = 1.0  # by which restoring multiplies chroma; learned from validation
    weight: dict[str, float] = dataclasses.field(default_factory=WEIGHT.copy)

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The generator, and the critic and VGG-16 where a weight above 0 asks for them.

        Raises ValueError for settings that no network has.
        """
        if unknown := self.weight.keys() - WEIGHT.keys():
            raise ValueError(f"weight names {sorted(unknown)}; the loss has {list(WEIGHT)}")
        if self.rivalry not in RIVALRY:
            raise ValueError(f"rivalry {self.rivalry!r} is unknown; choose one of {list(RIVALRY)}")
        if not self.palette and (self.weight.get("bins") or self.temperature != 1):
            raise ValueError(
                f"palette is 0, but the weight of bins is {self.weight.get('bins', 0)} and the "
                f"temperature {self.temperature}: give a palette its size, such as 19"
            )
        palette.check(self.temperature)
        generator = self._generator(rngs)
        kernel = generator.final.kernel  # the first answer is gray
        kernel[...] = jnp.zeros_like(kernel[...])
        nets: dict[str, nnx.Module] = {"generator": generator}
        if self._judged:
            nets["critic"] = discriminators.AttentionDiscriminator(
                3,
                width=self.critic_width,
                levels=self.critic_levels,
                attention=self.attention,
                rngs=rngs,
            )
        if self.weight.get("perceptual"):
            nets["vgg"] = vgg.VGG(16, until=TAPS[-1], rngs=rngs)
        return nets

    def _generator(self, rngs: nnx.Rngs) -> lite_unet.LiteUNet | unet.AlbuNet:
        c_out = len(palette.axis(self.palette)) ** 2 if self.palette else 2
        if self.network == "lite":
            return lite_unet.LiteUNet(
                c_out=c_out, widths=self.widths, out_stride=self.stride, rngs=rngs
            )
        if self.network != "albunet":
            raise ValueError(f"network {self.network!r} is unknown; choose 'albunet' or 'lite'")
        return unet.AlbuNet(
            self.depth,
            c_out=c_out,
            width=self.width,
            decoder_width=self.decoder_width,
            pool="max3",  # as ImageNet's encoders learned it
            stages=self.stages,
            variant=self.variant,
            out_stride=self.stride,
            squeeze=self.squeeze,
            decoder_norm=self.decoder_norm,
            rngs=rngs,
        )

    @property
    def multiple(self) -> int:
        """Sides that the network takes are multiples of this."""
        return lite_unet.LiteUNet.stride if self.network == "lite" else 4 * 2**self.stages

    def example(self, record: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """photo [H,W,3] gray, often old, and target: its luma with the true chroma; 0..1."""
        seen = image.to_float(view(record["photo"], self.size, self.share, rng))
        gray = fading.desaturate(seen)
        if rng.random() < self.age:
            gray = fading.age(gray, rng, gray=True)
        luma = color.rgb_to_gray(np.clip(gray, 0, 1))
        if rng.random() < self.filled:
            luma = inpaint.telea(luma, self.holes(luma.shape[:2], rng))
        true = np.concatenate([luma, color.rgb_to_ycbcr(seen)[..., 1:]], axis=-1)
        return {
            "photo": color.gray_to_rgb(luma),
            "target": color.ycbcr_to_rgb(color.fit_gamut(true)),
        }

    def restorers(self) -> set[str] | None:
        """The generator; the critic and VGG-16 only judge."""
        return {"generator"}

    def losses(self) -> dict[str, Loss]:
        """The generator wants the true chroma, and the critic's praise if there is one."""
        players: dict[str, Loss] = {"generator": self.paint}
        return players | ({"critic": self.judge} if self._judged else {})

    def predict(self, nets: Networks, batch: Batch) -> Batch:
        """The photo in colour: luma stays, chroma fits the gamut of sRGB."""
        luma = color.rgb_to_gray(batch["photo"])
        chroma = self._chroma(self._answer(nets, batch), self.temperature)
        full = (*luma.shape[:-1], 2)
        slope, offset = (
            jax.image.resize(coefficient, full, "linear")
            for coefficient in guided.fit(self._shrunk(luma), chroma, radius=1)
        )
        ycbcr = jnp.concatenate([luma, slope * luma + offset], -1)
        return {"photo": color.ycbcr_to_rgb(color.fit_gamut(ycbcr))}

    def paint(self, nets: Networks, batch: Batch) -> Terms:
        """What the generator's chroma costs, each term times its weight."""
        answer, real = self._answer(nets, batch), self._real(batch)
        fake, chroma = self._beside_luma(answer, real), real[..., 1:]
        terms = {"pixel": balanced_l1(self._chroma(answer), chroma, self.balance)}
        if self.weight.get("bins"):
            shares = palette.shares(chroma, self.palette)
            weight = rarity(chroma, self.balance)
            terms["bins"] = bins.soft_cross_entropy(answer, shares, weight)
        if self.weight.get("perceptual"):
            ours, theirs = (
                nets["vgg"].taps(resnet.normalize(color.ycbcr_to_rgb(ycbcr)), TAPS)
                for ycbcr in (fake, real)
            )
            terms["perceptual"] = feature.perceptual(ours, theirs, distance=pixel.mse)
        if self._judged:
            _, fool = RIVALRY[self.rivalry]
            seen = nets["critic"].taps(_signed(fake))
            terms["fool"] = fool(seen[-1])
        if self.weight.get("match"):
            wanted = nets["critic"].taps(_signed(real))
            terms["match"] = feature.feature_matching([seen], [wanted])
        return {name: w * terms[name] for name, w in self.weight.items() if w}

    def judge(self, nets: Networks, batch: Batch) -> Terms:
        """The critic tells true colours from the generator's."""
        real = self._real(batch)
        fake = self._beside_luma(self._answer(nets, batch), real)
        judge, _ = RIVALRY[self.rivalry]
        scores = [nets["critic"](_signed(ycbcr)) for ycbcr in (real, jax.lax.stop_gradient(fake))]
        return {"judge": judge(*scores)}

    def metrics(self, batch: Batch, prediction: Batch) -> dict[str, Any]:
        """Of whole photos: PSNR, error in the plane of a and b, colourfulness of both."""
        photo, target = prediction["photo"], batch["target"]
        return {
            "psnr": image_metrics.psnr(photo, target),
            "ab": color_metrics.ab_error(photo, target),
            "colorfulness": color_metrics.cf_hs2003(photo),
            "colorfulness of the truth": color_metrics.cf_hs2003(target),
        }

    def informed(self, figures: Mapping[str, float]) -> Task:
        """With the gain that makes validation photos VIVID times as colourful as the truth is.

        Who is unsure and pays for distances does best with pale colours: their hues are right.
        """
        own = figures.get("colorfulness", 0.0)
        truth = figures.get("colorfulness of the truth", 0.0)
        gain = np.clip(VIVID * truth / own, 1, MOST) if own > 0 else self.gain
        return dataclasses.replace(self, gain=round(float(gain), 2))

    def _answer(self, nets: Networks, batch: Batch) -> jax.Array:
        """What the generator says at 1/stride of the photo's sides, see `_chroma`; float32."""
        gray = color.gray_to_rgb(color.rgb_to_gray(batch["photo"]))
        if self.network == "lite":
            return nets["generator"](efficientnet.normalize(gray))
        return nets["generator"](resnet.normalize(gray, self.variant))

    def _chroma(self, answer: jax.Array, temperature: float = 1.0) -> jax.Array:
        """Cb and Cr of an answer, 0..1, float32."""
        if self.palette:
            return palette.mean(answer, temperature)
        return 0.5 + 0.5 * jnp.tanh(jnp.float32(answer))

    def _real(self, batch: Batch) -> jax.Array:
        """The target in YCbCr at 1/stride of its sides."""
        return self._shrunk(color.rgb_to_ycbcr(batch["target"]))

    def _beside_luma(self, answer: jax.Array, real: jax.Array) -> jax.Array:
        """The target's luma with the chroma of an answer, as it would be shown."""
        return jnp.concatenate([real[..., :1], self._chroma(answer, self.temperature)], -1)

    def _shrunk(self, x: Array) -> jax.Array:
        window = (self.stride, self.stride)
        return nnx.avg_pool(jnp.float32(x), window, window)

    @property
    def _judged(self) -> bool:
        return bool(self.weight.get("fool") or self.weight.get("match"))


def _signed(ycbcr: jax.Array) -> jax.Array:
    """As the critic sees it: -1..1 for luma, and so for the chroma of most photos."""
    return (ycbcr - 0.5) * jnp.asarray((2.0, 5.0, 5.0), ycbcr.dtype)
