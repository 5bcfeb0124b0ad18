from .clip import Clip as Clip
from .kinds import is_video_inside as is_video_inside
from .probe import count_pixels as count_pixels
