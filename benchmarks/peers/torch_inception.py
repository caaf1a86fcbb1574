"""The comparison: the TorchScript that PyTorch's users compute FID with.

It is preprocessed as pytorch-fid does: bilinear to 299 px without antialiasing.
Started by `benchmarks.inception` in an environment that has PyTorch.
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks import worker


def make_work(batch_file, out_file, archive, variant):
    """The network on one batch; `variant` is `eager` or `channels_last`."""
    layout = torch.contiguous_format
    if variant == "channels_last":
        layout = torch.channels_last
    network = torch.jit.load(archive).eval().to(memory_format=layout)
    images = torch.from_numpy(np.load(batch_file)).permute(0, 3, 1, 2)

    def step():
        with torch.inference_mode():
            x = F.interpolate(images, size=(299, 299), mode="bilinear")
            x = x.expand(-1, 3, -1, -1).contiguous(memory_format=layout)
            return network(x).numpy()

    np.save(out_file, step())
    return worker.Work(step=step, facts={"framework": f"torch {torch.__version__}"})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--variant", default="eager")
    args = parser.parse_args()
    worker.serve(lambda: make_work(args.batch, args.out, args.archive, args.variant))


if __name__ == "__main__":
    main()
