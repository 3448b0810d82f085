"""Runners of golden fixtures of networks that colour photos or make them of noise."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from oldphoto_jax.layers import norm
from oldphoto_jax.models import colorful, generators
from oldphoto_jax.weights import names
from oldphoto_jax.weights.readers import colorful as reader
from oldphoto_jax.weights.readers import critics
from tests.golden_runners import RUNNERS, nchw, nhwc, noted, runs

__all__ = ["RUNNERS"]  # with those of `golden_runners`


def widths(state, *layers):
    return [len(state[f"{layer}.bias"]) for layer in layers]


@runs("eccv16")
def run_eccv16(state, inputs, notes):
    options = dict(widths=widths(state, *(f"model{i}.0" for i in range(1, 9))))
    options["classes"] = len(state["model8.6.bias"])
    net = nnx.eval_shape(lambda: colorful.ECCV16(**options, rngs=nnx.Rngs(0)))
    names.fill(net, reader.eccv16(state))
    net.eval()

    @nnx.jit
    def run(net, lightness):
        logits = net(lightness)
        return logits, net.mean(logits) / colorful.AB_SCALE, net.ab(lightness)

    outputs = run(net, nhwc(inputs["L"]))
    return dict(zip(("logits", "ab_quarter", "ab"), map(nchw, outputs), strict=True))


@runs("siggraph17")
def run_siggraph17(state, inputs, notes):
    layers = [*(f"model{i}.0" for i in range(1, 8)), *(f"model{i}.1" for i in (8, 9, 10))]
    options = dict(widths=widths(state, *layers), classes=len(state["model_class.0.bias"]))
    options["mask_cent"] = noted(notes, "mask_cent", 0)
    net = nnx.eval_shape(lambda: colorful.SIGGRAPH17(**options, rngs=nnx.Rngs(0)))
    names.fill(net, reader.siggraph17(state))
    net.eval()
    lightness, hints, hinted = (nhwc(inputs[name]) for name in ("L", "ab_hint", "mask_hint"))
    # Without hints and with them, in one batch
    hints, hinted = (np.concatenate([np.zeros_like(x), x]) for x in (hints, hinted))
    lightness = np.concatenate([lightness, lightness])
    run = nnx.jit(lambda net, *given: net(*given))
    outputs = {}
    for name, both in zip(("ab", "class_logits"), run(net, lightness, hints, hinted), strict=True):
        outputs[f"{name}_auto"], outputs[f"{name}_hint"] = np.split(nchw(both), 2)
    return outputs


@runs("sagan_gen64")
def run_sagan_gen64(state, inputs, notes):
    levels = sum(key.endswith(".module.weight_bar") for key in state)
    kernels = [state[f"l{i}.0.module.weight_bar"] for i in range(1, levels + 1)]
    made = [kernel.shape[1] for kernel in kernels]
    count = sum(key.endswith(".gamma") for key in state)
    seen = [state[f"attn{i}.query_conv.weight"].shape[1] for i in range(1, count + 1)]
    options = dict(noise=len(kernels[0]), width=made[-1], levels=levels)
    options["attention"] = tuple(made.index(c) + 1 for c in seen)
    net = nnx.eval_shape(
        lambda: generators.AttentionGenerator(
            len(state["last.0.bias"]), **options, rngs=nnx.Rngs(0)
        )
    )
    names.fill(net, critics.attention_generator(state, options["attention"]))
    net.train()  # theirs takes a power step in evaluation, too,
    norm.freeze(net)  # but its batch norm stands still
    noise = inputs["z"].reshape(len(inputs["z"]), -1)
    return {"out": nchw(nnx.jit(lambda net, noise: net(noise))(net, jnp.asarray(noise)))}
