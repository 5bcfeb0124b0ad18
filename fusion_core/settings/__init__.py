"""What a run can be told: frozen, validated objects that form, command line and hash come from.

``FuseArchiveSettings`` is all that a fusing run takes, put together of what pairs, scenes, images
and runs need. A setting exists in one place only, and nothing here reads the environment or a
file. Start reading at ``fuse``; ``secrets`` keeps passwords out.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
