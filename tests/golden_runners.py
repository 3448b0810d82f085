"""How each golden fixture is run: RUNNERS maps its name to (state, inputs, notes) -> outputs.

State dicts, inputs and outputs keep the original layout (OIHW, NCHW); a runner converts.
"""

from collections.abc import Callable

import jax
import numpy as np
from flax import nnx

from oldphoto_jax.layers import norm
from oldphoto_jax.losses import adversarial, bins, feature, pixel
from oldphoto_jax.losses import mask as mask_losses
from oldphoto_jax.metrics import color as color_metrics
from oldphoto_jax.metrics import image as image_metrics
from oldphoto_jax.metrics import mask as mask_metrics
from oldphoto_jax.models import resnet, unet
from oldphoto_jax.photo import color, image
from oldphoto_jax.weights import names, torch

RUNNERS: dict[str, Callable] = {}


def runs(*names: str):
    """Registers a function as the runner of the named fixtures."""

    def keep(function):
        RUNNERS.update(dict.fromkeys(names, function))
        return function

    return keep


def nhwc(array):
    """A batch of PyTorch's layout in ours; anything else as it is."""
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def nchw(array):
    """The way back."""
    array = np.asarray(array)
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


def as_bytes(values):
    """Values 0..255 as the integers that Pillow makes of them."""
    return np.rint(np.clip(values, 0, 255)).astype(np.int32)


@runs("colour_spaces")
def run_colour_spaces(state, inputs, notes):
    outputs = {"lab_in_rgb": np.clip(color.lab_to_rgb(inputs["lab_in"]), 0, 1)}
    centre = np.float32([0, 0.5, 0.5])  # Pillow's chroma has its middle at 128, ours at 127.5
    for name in ("rgb", "corners"):
        photo = image.to_float(inputs[name])
        ycbcr = 255 * color.rgb_to_ycbcr(photo) + centre
        back = 255 * color.ycbcr_to_rgb((np.float32(inputs[name]) - centre) / 255)
        outputs |= {
            f"{name}_lab": color.rgb_to_lab(photo),
            f"{name}_ycbcr_float": ycbcr,
            f"{name}_ycbcr_pil": as_bytes(ycbcr),
            f"{name}_gray_pil": as_bytes(255 * color.rgb_to_gray(photo))[..., 0],
            f"{name}_back_pil": as_bytes(back),
            f"{name}_colourfulness": color_metrics.cf_hs2003(photo[None])[0],
        }
    return outputs


@runs("losses")
def run_losses(state, inputs, notes):
    x = {name: nhwc(array) for name, array in inputs.items()}
    x["bin_weight"] = x["bin_weight"][..., None]
    x["mask"] = 1 - x["mask"]  # theirs is 1 where the photo is good
    cases = {
        "bce_pos_weight": lambda x: mask_losses.bce(x["logit"], x["target"], 3.7),
        "dice": lambda x: mask_losses.dice(x["logit"], x["target"]),
        "focal": lambda x: mask_losses.focal(x["logit"], x["target"]),
        "focal_noalpha": lambda x: mask_losses.focal(x["logit"], x["target"], None, 1.5),
        "hinge_d": lambda x: adversarial.judge_hinge(x["d_real"], x["d_fake"]),
        "hinge_g": lambda x: adversarial.fool_hinge(x["d_fake"]),
        "lsgan_d": lambda x: adversarial.judge_least_squares(x["d_real"], x["d_fake"]),
        "lsgan_g": lambda x: adversarial.fool_least_squares(x["d_fake"]),
        "bce_gan_g": lambda x: adversarial.fool_non_saturating(x["d_fake"]),
        "feature_matching": lambda x: feature.feature_matching(
            *(
                [[x[f"fm_{side}{critic}_{layer}"] for layer in range(3)] for critic in range(2)]
                for side in "fr"
            )
        ),
        "style": lambda x: feature.style(x["feat_a"], x["feat_b"]),
        "tv": lambda x: pixel.total_variation(x["out"]),
        "tv_composite": lambda x: pixel.total_variation(
            pixel.composite(x["out"], x["gt"], x["mask"])
        ),
        "l1_hole": lambda x: pixel.l1_hole(x["out"], x["gt"], x["mask"]),
        "l1_valid": lambda x: pixel.l1_valid(x["out"], x["gt"], x["mask"]),
        "soft_ce": lambda x: bins.soft_cross_entropy(x["bin_logits"], x["bin_target"]),
        "soft_ce_weighted": lambda x: bins.soft_cross_entropy(
            x["bin_logits"], x["bin_target"], x["bin_weight"]
        ),
    }
    cases["bce_dice"] = lambda x: cases["bce_pos_weight"](x) + cases["dice"](x)
    outputs = {"gram": feature.gram(x["feat_a"])}
    solve = jax.jit(lambda x: {name: jax.value_and_grad(loss)(x) for name, loss in cases.items()})
    for name, (value, slopes) in solve(x).items():
        outputs[name] = value
        outputs |= {f"{name}_grad_{key}": nchw(slope) for key, slope in slopes.items()}
    return outputs


@runs("metrics")
def run_metrics(state, inputs, notes):
    a, b = inputs["a"][None], inputs["b"][None]
    gray = [255 * color.rgb_to_gray(image.to_float(array)) for array in (a, b)]
    label, score = (inputs[name][None, ..., None] for name in ("label", "score"))
    outputs = {
        "mse": image_metrics.mse(a, b)[0],
        "mae": image_metrics.mae(a, b)[0],
        "psnr": image_metrics.psnr(a, b, 255)[0],
        "ssim_uniform7": image_metrics.ssim(a, b, 255)[0],
        "ssim_gaussian": image_metrics.ssim(a, b, 255, "gaussian")[0],
        "ssim_gaussian_map": image_metrics.ssim_map(a, b, 255, "gaussian")[0],
        "ssim_gaussian_gray": image_metrics.ssim(*gray, 255, "gaussian")[0],
        "roc_auc": mask_metrics.roc_auc(label, score),
        "average_precision": mask_metrics.average_precision(label, score),
    }
    for threshold in (0.4, 0.5):
        for measure in ("iou", "dice", "precision", "recall"):
            function = getattr(mask_metrics, measure)
            outputs[f"{measure}_{threshold}"] = function(label, score, threshold)
    return outputs


@runs("resnet18", "resnet34", "resnet50")
def run_resnet(state, inputs, notes):
    depth = int(notes["name"].removeprefix("resnet"))
    net = nnx.eval_shape(lambda: resnet.ResNet(depth, classes=1000, rngs=nnx.Rngs(0)))
    names.fill(net, torch.resnet(state, depth))
    net.eval()
    x = nhwc(inputs["x"])
    logits, pooled, taps = nnx.jit(lambda net: (net(x), net.pooled(x), net.features(x)))(net)
    keys = ("stem", "layer1", "layer2", "layer3", "layer4")
    return dict(zip(keys, map(nchw, taps), strict=True)) | {"logits": logits, "pooled": pooled}


@runs("albunet34", "albunet34_deconv")
def run_albunet(state, inputs, notes):
    deconv, x = notes["name"].endswith("deconv"), nhwc(inputs["x"])
    arrays = torch.albunet(state, 34, deconv=deconv)

    def logits(**options):
        net = nnx.eval_shape(lambda: unet.AlbuNet(34, rngs=nnx.Rngs(0), **options))
        names.fill(net, arrays)
        net.eval()
        logits, taps = nnx.jit(lambda net: (net(x), net.encoder.features(x)))(net)
        return nchw(logits), nchw(taps[-1])

    if deconv:
        return {"logits": logits(deconv=True)[0]}
    centers, conv5 = logits()
    corners, _ = logits(align_corners=True)
    return {"logits": centers, "logits_align_corners": corners, "conv5": conv5}


@runs("inplace_abn")
def run_inplace_abn(state, inputs, _):
    x, dz = nhwc(inputs["x"]), nhwc(inputs["dz"])
    outputs = {}
    for activation in ("leaky_relu", "elu", "identity"):
        layer = norm.InPlaceABN(6, activation)
        layer.scale[...], layer.bias[...] = state["weight"], state["bias"]
        layer.mean[...], layer.var[...] = state["running_mean"], state["running_var"]
        layer.eval()
        outputs[f"{activation}_eval"] = nchw(layer(x))
        layer.train()
        graph, params, statistics = nnx.split(layer, nnx.Param, ...)

        def forward(params, x, graph=graph, statistics=statistics):
            layer = nnx.merge(graph, params, statistics, copy=True)
            return layer(x), layer

        z, pull, layer = jax.vjp(forward, params, x, has_aux=True)
        dparams, dx = pull(dz)
        outputs |= {
            f"{activation}_z": nchw(z),
            f"{activation}_dx": nchw(dx),
            f"{activation}_dweight": dparams["scale"][...],
            f"{activation}_dbias": dparams["bias"][...],
            "running_mean_new": layer.mean[...],
            "running_var_new": layer.var[...],
        }
    return outputs
