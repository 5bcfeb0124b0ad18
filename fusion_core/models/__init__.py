"""What fuses: the RefineFuse network, ONNX files, and baselines, in the memory there is.

A ``Fuser`` takes luminances in [0, 1] and returns one; ``load_fuser`` makes it of a name or a URL,
and nothing is ever unpickled. ``tiling`` fuses what is too large in tiles that agree. Nothing here
knows files of images, colour or rows. Start reading at ``fuser``, then ``network``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
