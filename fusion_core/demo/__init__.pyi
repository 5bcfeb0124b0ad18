from .archive import make_pair as make_pair
from .archive import write_archive as write_archive
