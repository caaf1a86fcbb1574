"""Random weights for tests, without compiling what would draw them."""

import jax
import numpy as np

# A generator of random numbers that compiles several times faster than the default.
RNGS = {
    name: jax.random.key(i, impl="rbg") for i, name in enumerate(("params", "noise"))
}


def random_variables(model, *args, seed=0, **kwargs):
    """Variables of a Flax module: He kernels, small biases, unit spectral vectors."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda *a: model.init(RNGS, *a, **kwargs), *args)

    def draw(path, leaf):
        name = path[-1].key
        values = rng.normal(size=leaf.shape).astype(np.float32)
        if name.endswith("kernel"):
            return values * np.sqrt(2 / np.prod(leaf.shape[:-1]), dtype=np.float32)
        if name in ("u", "v"):
            return values / np.linalg.norm(values)
        return np.exp(0.1 * values) if name == "var" else 0.1 * values

    return jax.tree_util.tree_map_with_path(draw, shapes)
