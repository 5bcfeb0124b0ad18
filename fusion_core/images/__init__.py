"""Photographs as files and as pixels: decoded, checked, coloured, encoded.

A ``Picture`` holds what a file showed, 8 or 16 bits, with its alpha; ``colour`` takes the luminance
out and puts a fused one back. Nothing here reads storage or fuses. Start reading at ``codecs``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
