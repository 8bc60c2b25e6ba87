"""Run the Triton kernels in Triton's interpreter, in a process of its own: `python -m tests.ops.interpret IN OUT`.

IN: a list of (geometry's fields, value, offset, mask, gradient of the output); OUT: a list of (output, gradients).
"""

from __future__ import annotations

import os
import sys

os.environ["TRITON_INTERPRET"] = "1"  # read when kernels are defined, Triton's own included

import torch

from bridgenet.ops.dcnv3 import triton_kernels
from bridgenet.ops.dcnv3.geometry import Geometry


def main() -> None:
    torch.set_num_threads(1)
    results = []
    for fields, value, offset, mask, grad_output in torch.load(sys.argv[1], weights_only=True):
        geometry = Geometry(*fields)
        output = triton_kernels.forward(value, offset, mask, geometry)
        results.append((output, *triton_kernels.backward(grad_output, value, offset, mask, geometry)))
    torch.save(results, sys.argv[2])


if __name__ == "__main__":
    main()
