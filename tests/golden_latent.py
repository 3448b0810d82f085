"""Runners of golden fixtures of Bringing Old Photos Back to Life."""

import jax.numpy as jnp
from flax import nnx

from oldphoto_jax.models import latent, patch_mapping, scratch_unet
from oldphoto_jax.weights import names
from oldphoto_jax.weights.readers import latent as reader
from tests.golden_generators import RUNNERS
from tests.golden_runners import nchw, nhwc, runs

__all__ = ["RUNNERS"]  # with those of `golden_generators`


def depth(state, place):
    ends = [key for key in state if key.endswith(".conv_block.1.weight")]
    return sum(key.startswith(place) for key in ends)


@runs("bopb_vae_a")
@runs("bopb_vae_b")
def run_vae(state, inputs, notes):
    c = len(state["encoder.1.bias"])
    make = lambda: latent.Autoencoder(c, depth(state, "decoder."), rngs=nnx.Rngs(0))  # noqa: E731
    net = nnx.eval_shape(make)
    names.fill(net, reader.autoencoder(state))
    photo, given = nhwc(inputs["x"]), nhwc(inputs["z_in"])
    z = nnx.jit(lambda net, x: net.encoder(x))(net, photo)
    decode = nnx.jit(lambda net, z: net.decoder(z))
    outputs = {"z": z, "recon": decode(net, z), "recon_from_z_in": decode(net, given)}
    return {name: nchw(one) for name, one in outputs.items()}


@runs("bopb_mapping_quality")
def run_quality(state, inputs, notes):
    widths = [len(state[f"model.{3 * i}.bias"]) for i in range(4)]
    c = state["model.0.weight"].shape[1]
    count = depth(state, "model.")
    net = nnx.eval_shape(lambda: latent.Mapping(c, widths, count, rngs=nnx.Rngs(0)))
    names.fill(net, reader.quality_mapping(state))
    return {"out": nchw(nnx.jit(lambda net, z: net(z))(net, nhwc(inputs["z"])))}


@runs("bopb_mapping_scratch")
def run_scratch(state, inputs, notes):
    widths = [len(state[f"before_NL.{3 * i}.bias"]) for i in range(4)]
    c = state["before_NL.0.weight"].shape[1]
    options = dict(partial=True, partial_depth=depth(state, "NL."), chunk=40)
    count = depth(state, "after_NL.")
    net = nnx.eval_shape(lambda: latent.Mapping(c, widths, count, **options, rngs=nnx.Rngs(0)))
    names.fill(net, reader.scratch_mapping(state))
    z, mask, most = (nhwc(inputs[name]) for name in ("z", "mask", "mask_most"))
    masks = jnp.concatenate([mask, jnp.zeros_like(mask), most, jnp.ones_like(mask)])

    @nnx.jit
    def run(net, z, masks):
        x = net.widened(z)
        four = jnp.concatenate([x] * 4)
        found = net.partial.found(four, latent.undamaged(masks, x.shape[1:3]))
        # Where all is damaged the rest is no fixture: instance norm of a constant
        return net(jnp.concatenate([z] * 3), masks[:3]), x, net.partial(x, masks[:1]), found

    out, x, after, found = (nchw(one) for one in run(net, z, masks))
    outputs = {
        name: out[i : i + 1] for i, name in enumerate(("out", "out_mask_zeros", "out_mask_most"))
    }
    outputs |= {"before_nl": x, "after_nl": after}
    return outputs | {"w_y": found[:1], "w_y_mask_ones": found[3:]}


@runs("bopb_detection")
def run_detection(state, inputs, notes):
    width, count = len(state["first.1.bias"]), sum(".up.2.bias" in key for key in state)
    net = nnx.eval_shape(lambda: scratch_unet.ScratchUNet(width, count, rngs=nnx.Rngs(0)))
    names.fill(net, reader.scratch_detector(state))
    net.eval()
    logits = nchw(nnx.jit(lambda net, x: net(x))(net, nhwc(inputs["x"])))
    return {"logits": logits, "prob": nnx.sigmoid(logits)}


@runs("bopb_mapping_hr")
def run_high_resolution(state, inputs, notes):
    widths = [len(state[f"before_NL.{3 * i}.bias"]) for i in range(4)]
    c = state["before_NL.0.weight"].shape[1]
    count = depth(state, "after_NL.")
    make = lambda: patch_mapping.PatchMapping(c, widths, count, rngs=nnx.Rngs(0))  # noqa: E731
    net = nnx.eval_shape(make)
    names.fill(net, reader.patch_mapping(state))
    z, mask = nhwc(inputs["z"]), nhwc(inputs["mask"])

    @nnx.jit
    def run(net, z, mask):
        x = net.widened(z)
        masks = jnp.concatenate([mask, jnp.zeros_like(mask)])
        return net(jnp.concatenate([z, z]), masks), [patch(x, mask) for patch in net.patches]

    both, patches = run(net, z, mask)
    out, zeros = jnp.split(jnp.asarray(nchw(both)), 2)
    # Their training lets undamaged patches look, too, who find themselves
    outputs = {"out": out, "out_mask_zeros": zeros, "out_training_forward": out}
    sizes = zip(net.patches, patches, strict=True)
    return outputs | {f"patch{one.patch}": nchw(made) for one, made in sizes}
