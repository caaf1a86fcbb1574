"""Augmentation of all that a discriminator sees, as strong as it overfits.

Karras et al. 2020, https://arxiv.org/abs/2006.06676. Of the paper's list there are all
pixel blits, all geometric changes, and of the colours' brightness and contrast; what
has no meaning for images that are not RGB (luma flip, hue, saturation) is left out, as
are filters and corruptions, which the paper found of little use. Its wavelet filter
is replaced by linear interpolation, in one resampling for all that moves pixels.
"""

import functools

import jax
import jax.numpy as jnp
from jax.scipy import ndimage
from jaxtyping import Array, Float, PRNGKeyArray

# The paper's appendix B: standard deviations, and the largest whole-pixel shift.
BLIT_SHIFT = 0.125  # Of the image's side.
SCALE = 0.2  # Of the scale's logarithm to the base 2, along both axes or one.
SHIFT = 0.125  # Of the image's side.
BRIGHTNESS = 0.2
CONTRAST = 0.5  # Of its logarithm to the base 2.

Images = Float[Array, "b h w c"]


def augment(
    images: Images, key: PRNGKeyArray, probability: jax.Array, colours: int
) -> Images:
    """Changes each image, all its channels alike; gradients flow to the images.

    Args:
      images: Square images, with encoded label maps as further channels, if any.
      key: Decides the changes.
      probability: Of each change, in [0, 1]; 0 returns the images bit by bit.
      colours: How many channels, the first ones, have brightness and contrast.
    """
    keys = jax.random.split(key, len(images))
    change = functools.partial(_change, colours=colours)
    return jax.vmap(change, in_axes=(0, 0, None))(images, keys, probability)


def adapt(
    probability: jax.Array, real_logits: Float[Array, " b"], target: float, images: int
) -> jax.Array:
    """The next probability: more if the discriminator is too sure of real images.

    Args:
      probability: The present one.
      real_logits: Of real, augmented images; the share of positive ones minus that of
        negative ones tells of overfitting (equation 1, r_t).
      target: What it should be.
      images: How many images it takes to get from 0 to 1.
    """
    surplus = jnp.mean(jnp.sign(real_logits)) - target
    step = len(real_logits) / images
    return jnp.clip(probability + step * jnp.sign(surplus), 0.0, 1.0)


def _change(image, key, probability, colours):
    """Changes one image [H, W, C]."""
    move_key, colour_key = jax.random.split(key)
    source = _coordinates(move_key, probability, image.shape[0])

    def sample(channel):
        return ndimage.map_coordinates(channel, source, order=1, mode="mirror")

    image = jax.vmap(sample, in_axes=-1, out_axes=-1)(image)
    brightness_key, contrast_key = jax.random.split(colour_key)
    brightness = BRIGHTNESS * jax.random.normal(brightness_key)
    contrast = 2.0 ** (CONTRAST * jax.random.normal(contrast_key))
    brightness = _maybe(brightness_key, probability, brightness, 0.0)
    contrast = _maybe(contrast_key, probability, contrast, 1.0)
    coloured = (image[..., :colours] + brightness) * contrast
    return jnp.concatenate([coloured, image[..., colours:]], axis=-1)


def _coordinates(key, probability, side):
    """Where each pixel of a moved image comes from: rows and columns, [H, W] each."""
    blit_key, warp_key = jax.random.split(key)
    grid = jnp.arange(side, dtype=jnp.float32) - (side - 1) / 2
    rows, columns = jnp.meshgrid(grid, grid, indexing="ij")
    rows, columns = _warp(rows, columns, warp_key, probability, side)
    rows, columns = _blit(rows, columns, blit_key, probability, side)
    return rows + (side - 1) / 2, columns + (side - 1) / 2


def _blit(rows, columns, key, probability, side):
    """Whole pixels that change places: a shift, a quarter turn, a flip."""
    shift_key, turn_key, flip_key = jax.random.split(key, 3)
    most = BLIT_SHIFT * side
    shift = jax.random.uniform(shift_key, (2,), minval=-most, maxval=most)
    shift = _maybe(shift_key, probability, jnp.round(shift), 0.0)
    turns = _maybe(turn_key, probability, jax.random.randint(turn_key, (), 0, 4), 0)
    flips = _maybe(flip_key, probability, jax.random.randint(flip_key, (), 0, 2), 0)
    rows, columns = rows - shift[0], columns - shift[1]
    # Not by cos and sin, which are not quite 0 at quarter turns.
    cos, sin = (jnp.array(table)[turns] for table in ((1, 0, -1, 0), (0, 1, 0, -1)))
    rows, columns = cos * rows - sin * columns, sin * rows + cos * columns
    return rows, (1 - 2 * flips) * columns


def _warp(rows, columns, key, probability, side):
    """A shift, rotations before and after a change of one axis, and a scale."""
    shift_key, first_key, axis_key, second_key, scale_key = jax.random.split(key, 5)
    shift = SHIFT * side * jax.random.normal(shift_key, (2,))
    shift = _maybe(shift_key, probability, shift, 0.0)
    rows, columns = rows - shift[0], columns - shift[1]
    rows, columns = _rotate(rows, columns, first_key, probability)
    stretch = _scale(axis_key, probability)
    rows, columns = rows * stretch, columns / stretch
    rows, columns = _rotate(rows, columns, second_key, probability)
    scale = _scale(scale_key, probability)
    return rows / scale, columns / scale


def _rotate(rows, columns, key, probability):
    """Turns by any angle; of two such turns one happens with that probability."""
    angle = jax.random.uniform(key, minval=-jnp.pi, maxval=jnp.pi)
    angle = _maybe(key, 1.0 - jnp.sqrt(1.0 - probability), angle, 0.0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return cos * rows - sin * columns, sin * rows + cos * columns


def _scale(key, probability):
    return _maybe(key, probability, 2.0 ** (SCALE * jax.random.normal(key)), 1.0)


def _maybe(key, probability, value, neutral):
    """`value` with that probability, and otherwise what changes nothing."""
    happens = jax.random.bernoulli(jax.random.fold_in(key, 1), probability)
    return jnp.where(happens, value, neutral)
