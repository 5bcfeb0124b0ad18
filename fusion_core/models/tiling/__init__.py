"""Fuses in tiles what memory doesn't hold whole, so that tiles agree where they meet.

``grid`` cuts and blends, ``tile_fuser`` lets all tiles share what a network pools over the whole
image, ``patches`` samples that, and ``batches`` fuses photographs whole, in batches, or in tiles.
"""
