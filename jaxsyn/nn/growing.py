"""What networks and images that grow have in common.

Karras et al. 2018, https://arxiv.org/abs/1710.10196, figure 2
"""

from jaxtyping import Array, Float


def shrink(
    x: Float[Array, "b h w c"], factor: int = 2
) -> Float[Array, "b h_small w_small c"]:
    """Takes the mean of each square of `factor` x `factor` pixels."""
    if factor == 1:
        return x
    b, h, w, c = x.shape
    blocks = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return blocks.mean((2, 4))


def blend(
    old: Float[Array, "b ..."], new: Float[Array, "b ..."], alpha: Float[Array, ""]
) -> Float[Array, "b ..."]:
    """Gives `old` where `alpha` is 0, `new` where it is 1, and between them a mean."""
    alpha = alpha.astype(new.dtype)
    return (1 - alpha) * old + alpha * new
