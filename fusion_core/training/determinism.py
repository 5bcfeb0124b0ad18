"""Has a GPU compute the same again from the same, as far as torch knows how to.

What a step asks for, by torch 2.13's documentation and sources:

- Convolutions, their gradients and padding have a deterministic way, which is taken. cuBLAS needs
  ``CUBLAS_WORKSPACE_CONFIG`` besides, which must stand before CUDA starts: ``actors`` sets it.
- Bilinear resizing is computed by indexing then, whose gradient is deterministic, and slower
  (``torch.nn.functional.interpolate``).
- Attention is computed by its plain products, since the fused kernels' gradients may add in any
  order. There are a few hundred tokens, so that costs little.
- The gradient of adaptive average pooling has none, says torch, and warns. Its kernel for
  channels-last features, as these are, gathers for each pixel and adds nothing atomically
  (``adaptive_average_gradinput_nhwc`` in ``AdaptiveAveragePooling.cu``).
"""

import torch


def compute_alike() -> None:
    """Set what makes equal seeds give equal weights on a GPU, for the rest of the process."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False  # which would choose by the clock
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
