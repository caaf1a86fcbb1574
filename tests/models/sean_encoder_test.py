import functools

import jax
import numpy as np
from weights import random_variables

from jaxsyn.models.sean_encoder import SeanEncoder


def test_features_lie_where_the_image_has_them():
    # Kernels that only pass a pixel on: what is bright in one is its region's style.
    layer = SeanEncoder(style_dim=1, ngf=1, kernel_init="he")
    label = np.zeros((1, 16, 16), int)
    label[:, 4:6, 8:10] = 1
    image = (label == 1)[..., None].astype(np.float32)
    one_hot = np.eye(3, dtype=np.float32)[label]
    variables = random_variables(layer, image, one_hot, train=True)
    zeros = jax.tree.map(np.zeros_like, variables)
    for conv in zeros["params"].values():
        conv["kernel"][1, 1] = 1
    style, present = jax.jit(functools.partial(layer.apply, train=True))(
        zeros, image, one_hot
    )
    np.testing.assert_array_equal(present, [[True, True, False]])
    dark, bright, absent = style[0, :, 0]
    assert bright > 0.9
    assert dark < 0
    assert absent == 0
