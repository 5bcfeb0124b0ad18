from .fusing import fuse_tiles as fuse_tiles
from .pair import open_scene as open_scene
from .probe import add_pixels as add_pixels
from .probe import is_scene as is_scene
from .stac_catalog import write_scene_catalog as write_scene_catalog
