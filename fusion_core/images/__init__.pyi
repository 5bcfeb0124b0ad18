from .codecs import decode as decode
from .codecs import encode as encode
from .colour import luminance as luminance
from .colour import replace_luminance as replace_luminance
from .picture import Picture as Picture
