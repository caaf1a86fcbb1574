"""Random changes of training images and their labels, inside the jitted step."""

from collections.abc import Mapping
import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.scipy import ndimage
from jaxtyping import Array, Float, Integer, PRNGKeyArray
import numpy as np

from jaxsyn.errors import UsageError

Images = Float[Array, "b *space c"]
Labels = Integer[Array, "b *space"]
Coordinates = Float[Array, "axis *space"]

CURVE_PIECES = 4  # Of the curves of `remap`.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augment:
    """How slices or volumes are changed, drawn anew for each.

    All that moves pixels is one resampling: images are interpolated linearly, labels
    take the nearest value, what comes in from beyond is background. Volumes are
    shifted, magnified, sheared and bent along all three axes, turned and flipped
    within their slices.

    Attributes:
      flip: Probability of exchanging left and right, the ends of the last axis.
      flip_vertical: Probability of exchanging top and bottom.
      shift: Largest shift along each axis, as a fraction of its extent.
      rotate: Largest rotation about the centre, in degrees.
      zoom: Smallest and largest magnification.
      stretch: Largest change of the magnification of each axis by itself.
      shear: Farthest that opposite edges slide past each other, as a fraction of the
        extent along them.
      elastic: Standard deviation of a smooth displacement along each axis, in pixels;
        at most a quarter of `elastic_sigma`, or images would fold.
      elastic_sigma: Standard deviation of the kernel that makes it smooth, in pixels.
      noise: Standard deviation of Gaussian noise; images have values in [-1, 1].
      remap: Largest relative change of the slope of a random rising curve, through
        which the intensities of each channel go; its ends -1 and 1 stay.
    """

    flip: float = 0.5
    flip_vertical: float = 0.0
    shift: float = 0.0
    rotate: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    stretch: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    elastic_sigma: float = 16.0
    noise: float = 0.0
    remap: float = 0.0

    def __post_init__(self):
        most = dict.fromkeys(("flip", "flip_vertical", "shift", "noise", "remap"), 1.0)
        most |= {"rotate": 180.0, "stretch": 0.5, "shear": 0.4}
        most |= {"elastic_sigma": 1e4, "elastic": self.elastic_sigma / 4}
        for name, limit in most.items():
            if not 0 <= getattr(self, name) <= limit:
                raise UsageError(
                    f"augment.{name} is {getattr(self, name)}.",
                    hint=f"It must lie between 0 and {limit:g}.",
                )
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise UsageError(
                f"augment.zoom is {self.zoom}.",
                hint="It must be (smallest, largest), both positive.",
            )

    @property
    def warps(self) -> bool:
        """Whether images are resampled at all."""
        moves = self.shift, self.rotate, self.stretch, self.shear, self.elastic
        return any(moves) or tuple(self.zoom) != (1.0, 1.0)

    def apply(
        self, image: Images, label: Labels, key: PRNGKeyArray
    ) -> tuple[Images, Labels]:
        """Changes each example, image and labels alike.

        Args:
          image: Slices [B, H, W, C] or volumes [B, D, H, W, C] in [-1, 1], where -1 is
            background.
          label: Label indices, of which 0 is background.
          key: Decides the changes, and nothing else does.

        Returns:
          Both, of the same shapes, types and ranges.
        """
        keys = jax.random.split(key, len(image))
        return jax.vmap(functools.partial(_change, self))(image, label, keys)


NONE = Augment(flip=0.0)

_004_GEOMETRIC = Augment(
    flip_vertical=0.5,
    shift=0.02,
    rotate=5.0,
    zoom=(0.95, 1.05),
    stretch=0.05,
    shear=0.03,
)

# By the experiment they come from. How strong noise and remap are, and what is
# classical, the papers leave open: those numbers are this library's.
PRESETS: Mapping[str, Augment] = {
    "none": NONE,
    "flip": Augment(),
    "classical": Augment(
        shift=0.05, rotate=10.0, zoom=(0.9, 1.1), elastic=2.0, noise=0.02
    ),
    # Chaparro-Cruz and Montoya-Zegarra (BORDE), as their public code was run.
    "000": Augment(),
    # Foroozandeh and Eklund 2020, https://arxiv.org/abs/2009.05946, section 3.3.
    "001": NONE,
    # Vu et al. 2025; without flips where left and right are not alike.
    "003": Augment(shift=0.05, rotate=1.0, zoom=(0.9, 1.1)),
    # Platscher et al. 2020, https://arxiv.org/abs/2010.02745, table II, and their code;
    # intensities as in Hesse et al. 2019, https://arxiv.org/abs/1909.02642.
    "004-geometric": _004_GEOMETRIC,
    "004-noise": Augment(flip=0.0, noise=0.05),
    "004-intensity": Augment(flip=0.0, remap=0.5),
    "004-geometric-noise": dataclasses.replace(_004_GEOMETRIC, noise=0.05),
    "004-geometric-intensity": dataclasses.replace(_004_GEOMETRIC, remap=0.5),
}


def _change(augment, image, label, key):
    """Changes one example."""
    flip_key, warp_key, remap_key, noise_key = jax.random.split(key, 4)
    for axis, probability in ((-1, augment.flip), (-2, augment.flip_vertical)):
        if probability:
            flips = jax.random.bernoulli(
                jax.random.fold_in(flip_key, -axis), probability
            )
            label = jnp.where(flips, jnp.flip(label, axis), label)
            image = jnp.where(flips, jnp.flip(image, axis - 1), image)
    if augment.warps:
        source = _coordinates(warp_key, augment, label.shape)
        image, label = _resample(image, label, source)
    if augment.remap:
        image = _remap(image, remap_key, augment.remap)
    if augment.noise:
        image += augment.noise * jax.random.normal(noise_key, image.shape)
    return jnp.clip(image, -1.0, 1.0), label


# Elsewhere than on a CPU, products would round to few bits.
_product = functools.partial(jnp.matmul, precision="highest")


def _coordinates(
    key: PRNGKeyArray, augment: Augment, shape: tuple[int, ...]
) -> Coordinates:
    """Where each pixel of a warped image comes from, in pixels."""
    shift_key, affine_key, elastic_key = jax.random.split(key, 3)
    extent = jnp.array(shape, jnp.float32)[:, None]
    centre = (extent - 1.0) / 2.0
    shift = augment.shift * jax.random.uniform(shift_key, extent.shape, minval=-1.0)
    grid = jnp.indices(shape, jnp.float32).reshape(len(shape), -1)
    offset = grid - centre - shift * extent
    source = _product(_affine(affine_key, augment, extent), offset)
    if augment.elastic:
        noise = _smooth_noise(elastic_key, shape, augment.elastic_sigma)
        source += augment.elastic * noise
    return (source + centre).reshape(-1, *shape)


def _affine(key, augment, extent) -> Float[Array, "axis axis"]:
    """Turns offsets from the centre after all but the shift into those before."""
    turn_key, zoom_key, stretch_key, shear_key = jax.random.split(key, 4)
    unit = jnp.eye(len(extent))
    angle = jax.random.uniform(turn_key, minval=-1.0) * jnp.deg2rad(augment.rotate)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = unit.at[-2:, -2:].set(jnp.array([[cos, -sin], [sin, cos]]))
    slide = augment.shear * jax.random.uniform(shear_key, unit.shape, minval=-1.0)
    shear = unit + (1.0 - unit) * slide * extent / extent.T
    low, high = augment.zoom
    zoom = jax.random.uniform(zoom_key, minval=low, maxval=high)
    stretch = jax.random.uniform(stretch_key, (1, len(extent)), minval=-1.0)
    return _product(turn, shear / (zoom * (1.0 + augment.stretch * stretch)))


def _smooth_noise(
    key: PRNGKeyArray, shape: tuple[int, ...], sigma: float
) -> Float[Array, "axis pixel"]:
    """A displacement along each axis, of variance 1 at every pixel.

    Simard et al. 2003, https://doi.org/10.1109/ICDAR.2003.1227801, but drawn at knots
    one `sigma` apart; smoothed, that looks as if every pixel had been drawn.
    """
    kernels = [_kernel(size, sigma) for size in shape]
    knots = [kernel.shape[1] for kernel in kernels]
    field = jax.random.normal(key, (len(shape), *knots))
    for kernel in kernels:  # Each takes the first axis of knots to the end, as pixels.
        field = jnp.tensordot(field, kernel, ((1,), (1,)))
    return field.reshape(len(shape), -1)


def _kernel(size: int, sigma: float) -> np.ndarray:
    """How much each pixel takes of each knot, [pixels, knots]."""
    knots = np.arange(-3, np.ceil(size / sigma) + 4, dtype=np.float32) * sigma
    apart = (np.arange(size, dtype=np.float32)[:, None] - knots) / sigma
    weights = np.exp(-0.5 * apart**2)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def _resample(
    image: Float[Array, "*space c"],
    label: Integer[Array, "*space"],
    source: Coordinates,
) -> tuple[jax.Array, jax.Array]:
    """Takes an image and its labels at other coordinates."""

    def sample(channel):
        return ndimage.map_coordinates(channel, source, order=1, cval=-1.0)

    warped = jax.vmap(sample, in_axes=-1, out_axes=-1)(image)
    return warped, ndimage.map_coordinates(label, source, order=0, cval=0)


def _remap(image, key, strength):
    """Takes each channel through a rising curve of straight pieces from -1 to 1."""
    channel = (1,) * (image.ndim - 1) + image.shape[-1:]
    slopes = jax.random.uniform(key, (CURVE_PIECES, *channel), minval=-1.0)
    slopes = 1.0 + strength * slopes
    slopes /= slopes.mean(axis=0, keepdims=True)
    above, width = image + 1.0, 2.0 / CURVE_PIECES
    rises = (
        slope * jnp.clip(above - i * width, 0.0, width)
        for i, slope in enumerate(slopes)
    )
    return sum(rises) - 1.0
