"""An archive's inputs paired, its results recorded, and its output held by one run at a time.

Files become pairs, pairs not yet done become a plan of chunks, and a chunk's rows become a part of
the manifest, whose exclusive creation is the commit; a lease and a fence keep it so when runs die
or overlap. Nothing here opens an image. Start reading at ``plan``; README.md draws the protocol.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
