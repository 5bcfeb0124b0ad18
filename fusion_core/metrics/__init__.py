"""The seven published fusion metrics, as pure functions: VIF, AG, SCD, Qabf, SF, EN and SSIM.

Each is defined once, by the convention that reproduces the published tables or by the textbook's,
and carries a version, so that equal names mean equal numbers. Nothing here knows files, storage or
rows. Start reading at ``functions``, one metric each; ``scores`` computes all of them from shared
maps, ``streaming`` does it for scenes larger than memory.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
