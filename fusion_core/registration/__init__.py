"""Whether an infrared and a visible picture show the same place, and how to bring them there.

``check`` estimates by how much the two are off, in a few milliseconds; ``align`` estimates the
transform that mends it, and ``warp`` applies one. Nothing here reads storage or fuses.
Start reading at ``check``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
