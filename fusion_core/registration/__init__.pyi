from .align import Transform as Transform
from .align import estimate as estimate
from .check import Shift as Shift
from .check import estimate_shift as estimate_shift
from .warp import warped as warped
