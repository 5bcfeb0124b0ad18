import csv
import math
from pathlib import Path

import pytest

import fusion_core.reports
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.published import published_sets

FILE = Path(fusion_core.reports.__file__).with_name("published.csv")
SIZES = {"tno": 42, "msrs": 361, "m3fd": 300, "mri-ct": 20, "mri-pet": 20, "mri-spect": 20}


def test_every_line_of_the_file_is_whole() -> None:
    with FILE.open() as file:
        reader = csv.DictReader(file, strict=True)
        lines = list(reader)
        assert reader.fieldnames == ["set", "images", "method", *METRIC_NAMES, "source"]
    assert len(lines) == 16
    for line in lines:
        assert None not in line
        assert all(value is not None and value == value.strip() for value in line.values())
        assert all(math.isfinite(float(line[metric])) for metric in METRIC_NAMES)
        assert all(len(line[metric].partition(".")[2]) == 4 for metric in METRIC_NAMES)
        assert int(line["images"]) == SIZES[line["set"]]
        assert line["source"]
        assert line["method"]
    assert len({(line["set"], line["method"]) for line in lines}) == len(lines)


def test_the_sets_hold_the_rows_of_the_file_in_its_order() -> None:
    sets = published_sets()
    assert list(sets) == list(SIZES)
    assert [row.method for row in sets["tno"]] == [
        *("MST", "DenseFuse", "U2Fusion", "RFN-Nest", "SDNet", "SeAFusion"),
        *("SwinFusion", "LRRNet", "CDDFuse", "EMMA", "RefineFuse"),
    ]
    assert {row.images for row in sets["tno"]} == {42}
    (msrs,) = sets["msrs"]
    assert (msrs.method, msrs.images) == ("RefineFuse", 361)
    assert list(msrs.means.items()) == [
        *(("vif", 1.0554), ("ag", 3.8135), ("scd", 1.6328), ("qabf", 0.7193)),
        *(("sf", 11.4509), ("en", 6.6006), ("ssim", 0.9377)),
    ]
    assert "10.1007/s44267-025-00087-w" in msrs.source


# Each metric's least and greatest mean that any method of a table can have.
RANGES = {"scd": (0, 2), "qabf": (0, 1), "en": (0, 8), "ssim": (0, 2)}


@pytest.mark.parametrize("name", SIZES)
def test_no_number_stands_in_the_wrong_column(name: str) -> None:
    for row in published_sets()[name]:
        for metric, (low, high) in RANGES.items():
            assert low < row.means[metric] < high
        assert row.means["sf"] > row.means["ag"]
