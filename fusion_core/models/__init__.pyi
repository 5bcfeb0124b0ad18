from .arithmetic import Arithmetic as Arithmetic
from .arithmetic import arithmetic_of as arithmetic_of
from .fuser import Fuser as Fuser
from .fuser import load_fuser as load_fuser
from .fuser import read_model as read_model
from .memory_budget import MemoryBudget as MemoryBudget
from .model_hash import model_hash_of as model_hash_of
from .tiling.timing import seconds_per_pixel as seconds_per_pixel
