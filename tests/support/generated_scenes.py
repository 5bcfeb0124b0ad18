"""Generated scenes: georeferenced rasters with texture at all scales, and nodata collars."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

UTM = "EPSG:32654"
PLACE = Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 4000020.0)


def texture(seed: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return noise whose power falls with frequency as in natural scenes, (H, W) in [0, 1]."""
    rng = np.random.default_rng(seed)
    rows, columns = (np.fft.fftfreq(side)[:, None] for side in size)
    radius = np.hypot(rows, columns.T)
    radius[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=size)) / radius**1.2
    spectrum[0, 0] = 0
    image = np.fft.ifft2(spectrum).real
    return np.asarray((image - image.min()) / (image.max() - image.min()))


def collar(size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return where a tilted scene holds data: False in wedges along all four sides."""
    height, width = size
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    tilt = 0.12
    return np.asarray(
        (y > tilt * x) & (y < 1 - tilt * (1 - x)) & (x > tilt * (1 - y)) & (x < 1 - tilt * y)
    )


def scene_bands(
    seed: int, size: tuple[int, int], bands: int = 5, nodata: int | None = 0
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return infrared (H, W) and visible (bands, H, W) counts, uint16.

    With ``nodata`` both have a collar of that value and no such value inside it.
    """
    ground, warmth = texture(seed, size), texture(seed + 1, size)
    tints = np.random.default_rng(seed).uniform(0.6, 1.4, bands)
    visible = np.stack([3000 + 6000 * tint * ground for tint in tints])
    visible += 300 * np.stack([texture(seed + 2 + k, size) for k in range(bands)])
    infrared = 7000 + 9000 * (0.6 * warmth + 0.4 * ground)
    ir, vi = infrared.astype(np.uint16), visible.astype(np.uint16)
    if nodata is not None:
        outside = ~collar(size)
        ir[outside] = vi[:, outside] = nodata
    return ir, vi


def write_raster(path: Path, bands: NDArray[Any], **profile: Any) -> Path:
    """Write bands (N, H, W) or one band (H, W) as GeoTIFF, by default upright in UTM zone 54."""
    pixels = bands[None] if bands.ndim == 2 else bands
    count, height, width = pixels.shape
    fields = {"crs": UTM, "transform": PLACE, "compress": "deflate", **profile}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=count,
        dtype=pixels.dtype,
        **fields,
    ) as target:
        target.write(pixels)
    return path


def write_scene_pair(
    folder: Path,
    name: str,
    size: tuple[int, int] = (300, 340),
    bands: int = 5,
    nodata: int | None = 0,
    seed: int = 3,
    **profile: Any,
) -> None:
    """Write ``ir/NAME.tif`` (one band) and ``vi/NAME.tif`` of ``scene_bands``."""
    ir, vi = scene_bands(seed, size, bands, nodata)
    for side, pixels in (("ir", ir), ("vi", vi)):
        write_raster(folder / side / f"{name}.tif", pixels, nodata=nodata, **profile)
