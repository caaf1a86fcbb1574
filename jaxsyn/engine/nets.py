"""The networks as one phase sees them, inside one traced function."""

from collections.abc import Callable, Mapping
from typing import Any
import zlib

from flax import linen as nn
import jax
import jax.numpy as jnp


class Nets:
    """Applies networks by name and keeps what they mutate.

    `nets("generator", x)` applies a network. If the phase trains it, the batch
    statistics and spectral norms it updates are kept; otherwise they are not.
    `nets.pure("critic")` is the same function in full precision with its statistics
    frozen, safe to differentiate or map over. At initialisation the first call of a
    network creates its parameters, so a system never states its input shapes.

    Attributes:
      params: Parameters by network.
      stats: Non-trained collections by network.
      stage: The current `Stage`; static.
      step: The current step; traced.
      train: Whether dropout and batch statistics are in training mode.
      dtype: What networks compute in. Their floating inputs are cast to it and
        their outputs to float32; parameters stay float32.
      memory: The system's running quantities, for generation.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        params: Mapping[str, Any],
        stats: Mapping[str, Any],
        *,
        rng: jax.Array,
        stage: Any,
        step: jax.Array,
        train: bool = True,
        trains: tuple[str, ...] = (),
        initializing: bool = False,
        dtype: jnp.dtype = jnp.float32,
        memory: Mapping[str, Any] | None = None,
    ):
        self.params, self.stats = dict(params), dict(stats)
        self.stage, self.step, self.train = stage, step, train
        self.dtype, self.memory = dtype, memory or {}
        self._networks, self._rng = networks, rng
        self._trains, self._initializing = trains, initializing
        self._draws = {}

    def __call__(self, name: str, *args, **kwargs):
        """Applies network `name`; keeps its new statistics if it is training."""
        module = self._module(name)
        kwargs = {"train": self.train} | _cast(kwargs, self.dtype)
        args = _cast(args, self.dtype)
        rngs = {"params": self.rng(name), "noise": self.rng(name)}
        if name not in self.params:
            self._require_initializing(name)
            out, variables = module.init_with_output(rngs, *args, **kwargs)
            self.params[name] = variables.pop("params", {})
            self.stats[name] = variables
            return _cast(out, jnp.float32)
        stats = self.stats[name]
        out, mutated = module.apply(
            {"params": self.params[name], **stats},
            *args,
            rngs={"noise": rngs["noise"]},
            mutable=list(stats) if kwargs["train"] else [],
            **kwargs,
        )
        if name in self._trains and mutated:
            self.stats[name] = mutated
        return _cast(out, jnp.float32)

    def pure(self, name: str) -> Callable[..., Any]:
        """Returns network `name` as a function without side effects, in float32.

        Gradient penalties are made with it: their norms do not survive bfloat16.
        """
        self._module(name)
        if name not in self.params:
            raise ValueError(
                f"`nets.pure({name!r})` needs parameters. Call `nets({name!r}, ...)`"
                " in this phase or an earlier one first."
            )
        rng = self.rng(name)

        def apply(*args, **kwargs):
            frozen = Nets(
                self._networks,
                self.params,
                self.stats,
                rng=rng,  # The same noise at every evaluation.
                stage=self.stage,
                step=self.step,
                train=self.train,
                dtype=jnp.float32,
            )
            return frozen(name, *args, **kwargs)

        return apply

    def rng(self, name: str = "") -> jax.Array:
        """Draws a fresh key from the stream `name`."""
        count = self._draws[name] = self._draws.get(name, -1) + 1
        stream = jax.random.fold_in(self._rng, zlib.crc32(name.encode()))
        return jax.random.fold_in(stream, count)

    @property
    def alpha(self) -> jax.Array:
        """How far the newest resolution has faded in."""
        return self.stage.alpha(self.step)

    def _module(self, name: str) -> nn.Module:
        if name not in self._networks:
            raise ValueError(
                f"No network {name!r}. This system has: {', '.join(self._networks)}."
            )
        return self._networks[name]

    def _require_initializing(self, name: str):
        if not self._initializing:
            raise ValueError(
                f"Network {name!r} has no parameters: no phase called it when the"
                " state was initialised."
            )


def _cast(tree: Any, dtype: jnp.dtype) -> Any:
    """Casts the floating arrays of `tree`; integers and the rest pass through."""

    def cast(leaf):
        floating = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype) if floating else leaf

    return jax.tree.map(cast, tree)
