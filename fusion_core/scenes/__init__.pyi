from .fusing import fuse_tiles as fuse_tiles
from .pair import open_scene as open_scene
from .probe import LargeFile as LargeFile
from .probe import add_pixels as add_pixels
from .probe import count_pixels as count_pixels
from .probe import is_scene as is_scene
from .probe import may_be_scenes as may_be_scenes
from .stac_catalog import write_scene_catalog as write_scene_catalog
