"""A worker that multiplies large matrices: what it reaches is called the peak."""

import argparse

import jax

from benchmarks import worker

SIDE_ON_CPU, SIDE = 2048, 8192


def make_work(dtype):
    """Products of square matrices of a dtype, in JAX's default precision."""
    on_cpu = jax.default_backend() == "cpu"
    side, at_once = (SIDE_ON_CPU, 1) if on_cpu else (SIDE, worker.CYCLE)
    # Of constants, chips make faster products than of anything that occurs.
    x = jax.random.normal(jax.random.key(0), (side, side)).astype(dtype)
    multiply = jax.jit(lambda x: x @ x)

    def step():
        # All are in the queue before the first ends.
        jax.block_until_ready([multiply(x) for _ in range(at_once)])

    device = "cpu" if on_cpu else jax.devices()[0].device_kind
    facts = {"gflop": 2 * side**3 / 1e9, "device": device}
    return worker.Work(step=step, facts=facts, at_once=at_once)


def main():
    """Runs the worker."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dtype", default="float32")
    dtype = parser.parse_args().dtype
    worker.serve(lambda: make_work(dtype))


if __name__ == "__main__":
    main()
