"""Products of matrices of bytes by torch, where that is installed: several times as fast as those of floats."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hillock.sim.sums import Product

__all__ = ["byte_product"]


def byte_product() -> Product | None:
    """What `run_batch` takes as its `product`; None where torch is not installed.

    Torch is told to use one thread, since `run_batch` has as many as there are cores.
    """
    try:
        import torch
    except ModuleNotFoundError:
        return None
    torch.set_num_threads(1)

    def product(events: NDArray[np.int8], weights: NDArray[np.int8]) -> NDArray[np.int32]:
        # Contiguous and writable, as torch wants them: what is neither is copied.
        left, right = (np.require(one, requirements=("C", "W")) for one in (events, weights))
        multiplied: Any = torch._int_mm(torch.from_numpy(left), torch.from_numpy(right))
        result: NDArray[np.int32] = multiplied.numpy()
        return result

    return product
