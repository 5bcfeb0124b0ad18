"""Georeferenced rasters of any size: read in windows, fused in tiles, written as COG and STAC.

A scene's infrared is brought to the visible one's grid, its values are scaled once for the whole of
it, and memory is bounded by a tile. Nothing here commits a row. Start reading at ``pair``, which
opens a scene, then ``fusing`` and ``cog``; README.md tells what is kept of a scene.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
