from .fuser import Fuser as Fuser
from .fuser import load_fuser as load_fuser
from .fuser import read_model as read_model
from .tiling.grid import cut_tiles as cut_tiles
