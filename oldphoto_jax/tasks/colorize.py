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
from oldphoto_jax.losses.balance import balanced_l1, rarity, rebalanced
from oldphoto_jax.metrics import classifier, imagenet
from oldphoto_jax.metrics import color as color_metrics
from oldphoto_jax.metrics import image as image_metrics
from oldphoto_jax.models import colorful, discriminators, lite_unet, resnet, unet, vgg
from oldphoto_jax.photo import color, image, inpaint, planes, prior
from oldphoto_jax.photo.ab_bins import AbBins
from oldphoto_jax.photo.crop import view
from oldphoto_jax.photo.palette import Grid
from oldphoto_jax.photo.types import Batch
from oldphoto_jax.predictors.colors import ColorPredictor
from oldphoto_jax.predictors.predictor import Networks
from oldphoto_jax.task import MEASURED, NOTHING, Loss, Task, Terms
from oldphoto_jax.tasks.hints import Hints

WEIGHT = {"pixel": 1.0, "bins": 0.0, "perceptual": 0.0, "fool": 0.0, "match": 0.0}
VIVID, MOST = 0.62, 2.0  # more makes wrong colours, which pale ones hide, too striking
TAPS = feature.COLOR_LAYERS
RIVALRY = {  # how the critic judges and how the generator fools it
    "hinge": (adversarial.judge_hinge, adversarial.fool_hinge),
    "least squares": (adversarial.judge_least_squares, adversarial.fool_least_squares),
}


@dataclasses.dataclass(kw_only=True)
class Colorize(Task):
    """Players: the `generator` of a `ColorPredictor`, and the `critic` where `weight` wants one.

    Colour is compared and judged at 1/`network.out_stride` of the photo's sides, beside luma of
    that size. With a `palette` "bins" compares how likely its colours are with the truth, and
    "pixel" their mean, while a photo, the critic and VGG-16 get to see the mean at `temperature`.
    With `hints` the network is told the true colour of some places; figures are of what it says
    without, but for those called hinted. A `classifier` stands by, frozen, and at each validation
    tells what photos show, coloured and in truth; see `metrics.classifier`.
    """

    size: int = 256  # side of the training crop, pixels
    share: tuple[float, float] = (0.6, 1.0)  # of the photo's short side that the crop shows
    age: float = 0.5  # share of the photos that are aged first: soft, grainy, faded
    filled: float = 0.0  # share of the photos with filled `holes`, as the stage before leaves them
    holes: Holes = dataclasses.field(
        default_factory=lambda: Holes(max_size=32, strokes=1.0, large=0.2)
    )
    network: (
        lite_unet.Blueprint
        | unet.Blueprint
        | colorful.ECCV16Blueprint
        | colorful.SIGGRAPH17Blueprint
    ) = dataclasses.field(default_factory=lambda: unet.imagenet(decoder_width=32))
    palette: Grid | AbBins | None = None  # colours to choose among; None = it names the colour
    plane: str = "cbcr"  # or "ab"; of the colours that it names
    temperature: float = 1.0  # 1 = the mean colour, towards 0 the likeliest
    hints: Hints | None = None  # colours that it is told
    critic_width: int = 64
    critic_levels: int = 4
    attention: tuple[int, ...] = (3, 4)  # levels of the critic after which it looks everywhere
    rivalry: str = "hinge"  # or "least squares"
    balance: float = 1.0  # 1 = all colours count alike; less = rare colours count for more
    prior: str = ""  # how common the palette's are: a file, or "packaged"; "" = by a formula
    colourless: float = 0.0  # photos weigh nothing whose |a| and |b| stay below this
    picked: bool = False  # the truth of an answer is the first of its pixels, not their mean
    gain: float = 1.0  # by which restoring multiplies chroma; learned from validation
    classifier: str = ""  # "efficientnet-lite0" or "resnet50"; "" = none
    weight: dict[str, float] = dataclasses.field(default_factory=WEIGHT.copy)

    def predictor(self, figures: Mapping[str, float] = NOTHING) -> ColorPredictor:
        """With the gain that makes validation photos VIVID times as colourful as the truth is.

        Who is unsure and pays for distances does best with pale colours: their hues are right.
        """
        own = figures.get("colorfulness", 0.0)
        truth = figures.get("colorfulness of the truth", 0.0)
        gain = np.clip(VIVID * truth / own, 1, MOST) if own > 0 else self.gain
        return ColorPredictor(
            network=self.network,
            palette=self.palette,
            plane=self.plane,
            temperature=self.temperature,
            hints=self.hints is not None,
            gain=round(float(gain), 2),
        )

    def networks(self, rngs: nnx.Rngs) -> dict[str, nnx.Module]:
        """The generator, the critic and VGG-16 where a weight above 0 asks for them, a classifier.

        Raises ValueError for settings that no network has.
        """
        if unknown := self.weight.keys() - WEIGHT.keys():
            raise ValueError(f"weight names {sorted(unknown)}; the loss has {list(WEIGHT)}")
        if self.rivalry not in RIVALRY:
            raise ValueError(f"rivalry {self.rivalry!r} is unknown; choose one of {list(RIVALRY)}")
        if self.choices is None and self.weight.get("bins"):
            raise ValueError(
                f"there is no palette, but the weight of bins is {self.weight['bins']}: give a "
                "palette, such as Grid(side=19)"
            )
        if self.choices is None and self.prior:
            raise ValueError(f"there is no palette, but prior={self.prior!r} of its colours")
        nets = self.predictor().networks(rngs)
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
        if self.classifier:
            nets["classifier"] = classifier.Classifier(self.classifier, rngs=rngs)
        return nets

    def published(self) -> dict[str, str]:
        """The classifier's weights."""
        name = self.classifier
        return {"classifier.network": classifier.published(name).weights} if name else {}

    def example(self, record: Mapping[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """photo [H,W,3] gray, often old, and target: its luma with the true chroma; 0..1.

        With `hints` also those, [H,W,3], see `ColorPredictor`; with a classifier the `label` in
        ImageNet's order, where the record's class has one.
        """
        seen = image.to_float(view(record["photo"], self.size, self.share, rng))
        gray = fading.desaturate(seen)
        if rng.random() < self.age:
            gray = fading.age(gray, rng, gray=True)
        luma = color.rgb_to_gray(np.clip(gray, 0, 1))
        if rng.random() < self.filled:
            luma = inpaint.telea(luma, self.holes(luma.shape[:2], rng))
        true = np.concatenate([luma, color.rgb_to_ycbcr(seen)[..., 1:]], axis=-1)
        true, told = color.fit_gamut(true), {}
        if self.hints is not None:
            true, told["hints"] = self.hints(true, rng)
        if self.classifier:
            told["label"] = np.asarray(imagenet.index(record.get("class", "")), np.int32)
        return {"photo": color.gray_to_rgb(luma), "target": color.ycbcr_to_rgb(true)} | told

    def ready(self) -> None:
        """Raises ValueError for a `prior` that can't be read, or is of another palette."""
        if self.prior and self.choices is not None:
            try:
                prior.read(self.prior, self.choices)
            except OSError as error:
                raise ValueError(f"prior={self.prior!r}: {error.strerror}") from error

    def losses(self) -> dict[str, Loss]:
        """The generator wants the true chroma, and the critic's praise if there is one."""
        players: dict[str, Loss] = {"generator": self.paint}
        return players | ({"critic": self.judge} if self._judged else {})

    def paint(self, nets: Networks, batch: Batch) -> Terms:
        """What the generator's chroma costs, each term times its weight."""
        predictor, real = self.predictor(), self._real(batch)
        answer = predictor.answer(nets, batch)
        fake = self._beside_luma(answer, real)
        terms = {"pixel": self.pixel(predictor.colours(answer), batch)}
        if self.weight.get("bins"):
            terms["bins"] = self.bins(answer, batch)
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

    def pixel(self, colours: jax.Array, batch: Batch) -> jax.Array:
        """How far colours [N,h,w,2] are from the truth, as a share of the plane."""
        true, whole = self._colours(batch, colours), 2 * planes.PLANES[self.predictor().told_in]
        return balanced_l1(colours / whole, true / whole, self._weight(batch, true))

    def bins(self, logits: jax.Array, batch: Batch) -> jax.Array:
        """How unlikely the truth is by logits [N,h,w,K] of the colours to choose among."""
        true = self._colours(batch, logits)
        return bins.soft_cross_entropy(logits, self._chosen.encode(true), self._weight(batch, true))

    def judge(self, nets: Networks, batch: Batch) -> Terms:
        """The critic tells true colours from the generator's."""
        real = self._real(batch)
        fake = self._beside_luma(self.predictor().answer(nets, batch), real)
        judge, _ = RIVALRY[self.rivalry]
        scores = [nets["critic"](_signed(ycbcr)) for ycbcr in (real, jax.lax.stop_gradient(fake))]
        return {"judge": judge(*scores)}

    def measure(self, nets: Networks, batch: Batch, prediction: Batch) -> Batch:
        """The photo as it is without hints, where there are any; what the classifier tells."""
        photo, told = prediction["photo"], {}
        if self.hints is not None:
            photo = self.predictor()(nets, {"photo": batch["photo"]})["photo"]
            told["unhinted"] = photo
        if self.classifier:
            for name, one in {"class": photo, "true class": batch["target"]}.items():
                told[name] = jnp.argmax(nets["classifier"](one), axis=-1)
        return told

    def metrics(self, batch: Batch, prediction: Batch) -> dict[str, Any]:
        """Of whole photos: PSNR, error in the plane of a and b, colourfulness of both."""
        photo, target = prediction["photo"], batch["target"]
        told = {}
        if self.hints is not None:
            told["hinted ab"] = color_metrics.ab_error(photo, target)
            photo = prediction[f"{MEASURED}unhinted"]
        if self.classifier and f"{MEASURED}class" in prediction:  # a judge's task may have none
            classes = (prediction[f"{MEASURED}{name}"] for name in ("class", "true class"))
            told |= classifier.accuracy(batch["label"], *classes)
        return told | {
            "psnr": image_metrics.psnr(photo, target),
            "ab": color_metrics.ab_error(photo, target),
            "colorfulness": color_metrics.cf_hs2003(photo),
            "colorfulness of the truth": color_metrics.cf_hs2003(target),
        }

    def _real(self, batch: Batch) -> jax.Array:
        """The target in YCbCr at 1/stride of its sides."""
        return self.predictor().shrunk(color.rgb_to_ycbcr(batch["target"]))

    def _beside_luma(self, answer: jax.Array, real: jax.Array) -> jax.Array:
        """The target's luma with the colours of an answer, in YCbCr, as it would be shown."""
        predictor = self.predictor()
        colours = predictor.colours(answer, self.temperature)
        return planes.beside(real[..., :1], colours, predictor.told_in)

    def _colours(self, batch: Batch, like: jax.Array) -> jax.Array:
        """The target's colours at the sides of an answer, in the plane of the predictor's."""
        colours = planes.colours(jnp.asarray(batch["target"]), self.predictor().told_in)
        return self._sized(colours, like)

    def _sized(self, x: jax.Array, like: jax.Array) -> jax.Array:
        """The truth [N,H,W,C] at the sides of an answer: one pixel for each, or their mean."""
        times = x.shape[1] // like.shape[1]
        if self.picked:
            return x[:, ::times, ::times]
        return nnx.avg_pool(x, (times, times), (times, times))

    def _weight(self, batch: Batch, colours: jax.Array) -> jax.Array:
        """What each of the true colours [N,h,w,2] counts, [N,h,w,1]."""
        target = jnp.asarray(batch["target"])
        if self.prior:
            shares = self._chosen.smoothed(prior.read(self.prior, self._chosen))
            table = jnp.asarray(rebalanced(shares, self.balance), jnp.float32)
            weight = table[self._chosen.nearest(colours)][..., None]
        else:
            weight = rarity(self._sized(color.rgb_to_ycbcr(target), colours)[..., 1:], self.balance)
        if not self.colourless:
            return weight
        ab = planes.colours(target, "ab")
        return weight * (jnp.abs(ab).max((1, 2, 3), keepdims=True) > self.colourless)

    @property
    def choices(self) -> Grid | AbBins | None:
        """The colours that "bins" compares."""
        return self.palette

    @property
    def _chosen(self) -> Grid | AbBins:
        if self.choices is None:
            raise ValueError("there is no palette to choose colours from")
        return self.choices

    @property
    def _judged(self) -> bool:
        return bool(self.weight.get("fool") or self.weight.get("match"))


def _signed(ycbcr: jax.Array) -> jax.Array:
    """As the critic sees it: -1..1 for luma, and so for the chroma of most photos."""
    return (ycbcr - 0.5) * jnp.asarray((2.0, 5.0, 5.0), ycbcr.dtype)
