"""What a detector finds in fused images that lie in folders, by ``fuse-archive detect``."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

COMMAND = (sys.executable, "-c", "from flows.cli import main; main()", "detect")
CLASSES = ("person", "car")
DESCRIPTION = {"head": "yolox", "size": [416, 416], "classes": "coco"}


def detected(
    data: Path, pairs: str, fused: Mapping[str, Path], work: Path
) -> dict[str, dict[str, float]]:
    """Run YOLOX-nano over both sides and the fused images of a labelled set.

    Args:
        data: The sample data.
        pairs: ``msrs_labelled`` or ``roadscene_labelled``.
        fused: Folder of the fused images, ``NAME.png``, by method.
        work: A folder for what the run writes.

    Returns:
        AP50 and AP by method: ``person ap50`` and so on.
    """
    work.mkdir()
    description = work / "detector.json"
    description.write_text(json.dumps(DESCRIPTION))
    labels = data / "detection"
    source = {
        "msrs_labelled": ("detection/msrs", "png", f"{labels}/msrs/labels/{{pair}}.txt"),
        "roadscene_labelled": ("roadscene", "jpg", f"{labels}/roadscene_coco.json"),
    }
    folder, suffix, labelled = source[pairs]
    command = [
        *COMMAND,
        *("--source", str(data / folder), "--output", str(work)),
        *("--ir", f"ir/{{pair}}.{suffix}", "--vi", f"vi/{{pair}}.{suffix}"),
        *(part for name, at in fused.items() for part in ("--fused", f"{name}={at}/{{pair}}.png")),
        *("--detector", str(labels / "yolox_nano.onnx")),
        *("--detector-description", str(description)),
        *("--labels", labelled, "--classes", *CLASSES),
        *("--contact-sheet", "0", "--no-report", "--worker", "cpu:1", "--max-workers", "2"),
    ]
    subprocess.run(command, check=True)
    (table,) = work.glob("runs/*/table.csv")
    found: dict[str, dict[str, float]] = {}
    for row in csv.DictReader(table.read_text().splitlines()):
        of_method = found.setdefault(row["method"], {})
        of_method |= {f"{row['class']} {name}": float(row[name]) for name in ("ap50", "ap")}
    return found
