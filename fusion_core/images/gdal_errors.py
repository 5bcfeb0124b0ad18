"""GDAL's own errors, taken from rasterio's private module in this one place.

rasterio makes its own ``RasterioError`` of most of them and lets others through as they are. Those
have no public class: ``rasterio.errors`` names none of them (rasterio 1.4).
"""

from rasterio._err import CPLE_BaseError as GdalError
from rasterio._err import CPLE_NotSupportedError as GdalNotSupportedError
from rasterio._err import CPLE_OutOfMemoryError as GdalOutOfMemoryError

__all__ = ["GdalError", "GdalNotSupportedError", "GdalOutOfMemoryError"]
