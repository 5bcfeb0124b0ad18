import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_core.scenes.acquisition import Acquisition, acquired

DAY = dt.datetime(2015, 5, 2, tzinfo=dt.UTC)
MOMENT = dt.datetime(2015, 5, 2, 1, 35, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("domain", "tags", "moment"),
    [
        ("IMAGERY", {"ACQUISITIONDATETIME": "2015-05-02 01:35:00"}, MOMENT),
        ("", {"ACQUISITIONDATETIME": "2015-05-02T01:35:00Z"}, MOMENT),
        ("", {"AcquisitionDateTime": "2015-05-02T01:35:00z"}, MOMENT),
        ("", {"ACQUISITION_DATE": "2015-05-02"}, DAY),
        ("", {"ACQUISITION_DATE": "20150502", "ACQUISITION_TIME": "013500"}, MOMENT),
        ("", {"DATE_ACQUIRED": "2015-05-02"}, DAY),
        (
            "",
            {"DATE_ACQUIRED": "2015-05-02", "SCENE_CENTER_TIME": '"01:35:00.1234567Z"'},
            MOMENT.replace(microsecond=123456),
        ),
        ("", {"DATE_ACQUIRED": "2015-05-02", "SCENE_CENTER_TIME": "unknown"}, DAY),
        ("", {"SENSING_TIME": "2015-05-02T10:35:00.000+09:00"}, MOMENT),
        ("", {"PRODUCT_START_TIME": "2015-05-01T23:05:00-0230"}, MOMENT),
        ("", {"NITF_IDATIM": "20150502013500"}, MOMENT),
        ("", {"NC_GLOBAL#time_coverage_start": "2015-05-02 01:35 UTC"}, MOMENT),
        ("", {"EXIF_DateTimeOriginal": "2015:05:02 01:35:00"}, MOMENT),
        ("", {"TIFFTAG_DATETIME": "2015:05:02 01:35:00"}, MOMENT),
        ("", {"TIFFTAG_DATETIME": "2015:05:02 01:35:00\0"}, MOMENT),
    ],
)
def test_tags_tell(domain: str, tags: dict[str, str], moment: dt.datetime) -> None:
    assert acquired({domain: tags}, "19990101.tif") == Acquisition(moment, "tags")


def test_better_tags_come_first() -> None:
    tags = {
        "": {"TIFFTAG_DATETIME": "2019:01:01 00:00:00", "DATE_ACQUIRED": "2018-01-01"},
        "IMAGERY": {"ACQUISITIONDATETIME": "2015-05-02 01:35:00"},
    }
    found = [acquired(tags, "x")]
    del tags["IMAGERY"]
    found.append(acquired(tags, "x"))
    del tags[""]["DATE_ACQUIRED"]
    found.append(acquired(tags, "x"))
    assert [one.moment.year for one in found if one] == [2015, 2018, 2019]


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0000:00:00 00:00:00", "0000-00-00", "00000000", "unknown", "2015"),
        *("2015-13-02", "2015-02-29", "2015-05-02 25:00:00", "1969-12-31", "2101-01-01"),
        *(
            "2015-05-02T01:35:00+99:99",
            "1970-01-01T00:00:00+09:00",
            "2015-0502",
            "\u0662\u0660150502",
        ),
    ],
)
def test_nonsense_is_passed_over(text: str) -> None:
    assert acquired({"": {"TIFFTAG_DATETIME": text}}, "scene.tif") is None
    tags = {"IMAGERY": {"ACQUISITIONDATETIME": text}, "": {"DATE_ACQUIRED": "2015-05-02"}}
    assert acquired(tags, "19990101.tif") == Acquisition(DAY, "tags")
    assert acquired({"": {"TIFFTAG_DATETIME": text}}, "20150502") == Acquisition(DAY, "path")


@pytest.mark.parametrize(
    ("path", "moment"),
    [
        ("LC81070352015122LGN00_B2.tif", DAY),
        ("s3://landsat/lc81070352015122lgn00/band.tif", DAY),
        ("LE71070352016366EDC00.tif", dt.datetime(2016, 12, 31, tzinfo=dt.UTC)),
        ("LC08_L1TP_107035_20150502_20170409_01_T1_B4.TIF", DAY),
        ("S2A_MSIL1C_20150502T013500_N0204_R074.SAFE/GRANULE/B04.jp2", MOMENT),
        ("T54SUE_20150502T013500_B04.jp2", MOMENT),
        ("20150502_013500_0f22_3B_AnalyticMS.tif", MOMENT),
        ("20150502013500.tif", MOMENT),
        ("20150502_107035.tif", DAY),
        ("camera/2015-05-02T01-35-00.tif", MOMENT),
        ("camera/2015-05-02 01:35:00.tif", MOMENT),
        ("camera/2015-05-02/17.tif", DAY),
        (r"camera\2015-05-02\17.tif", DAY),
        ("run-20261120/scene-20150502.tif", DAY),
        ("20150502/20151345.tif", DAY),
    ],
)
def test_paths_tell(path: str, moment: dt.datetime) -> None:
    assert acquired({}, path) == Acquisition(moment, "path")


@pytest.mark.parametrize(
    "path",
    [
        *("", "scene.tif", "120150502.tif", "201505021.tif", "00000000.tif", "99991231.tif"),
        *("2015-05-021", "LC81070352015367LGN00.tif", "LC81070352015000LGN00.tif"),
        *("LC81070351969122LGN00.tif", "XLC81070352015122.tif", "20150502013561.tif"),
    ],
)
def test_paths_that_tell_nothing(path: str) -> None:
    assert acquired({}, path) is None


DATELIKE = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="0123456789:-/T_ Z.+LC", max_size=32),
    st.from_regex(r"[0-9]{4}[-:]?[0-9]{2}[-:]?[0-9]{2}[T ][0-9:.]*[+-][0-9]{2}:?[0-9]{2}"),
    st.from_regex(r"L[CET][0-9]{14}LGN00"),
)
NAMES = st.sampled_from(["ACQUISITIONDATETIME", "DATE_ACQUIRED", "SCENE_CENTER_TIME", "X"])


@given(
    st.dictionaries(st.sampled_from(["", "IMAGERY"]), st.dictionaries(NAMES, DATELIKE)), DATELIKE
)
def test_never_raises(tags: dict[str, dict[str, str]], path: str) -> None:
    found = acquired(tags, path)
    if found is not None:
        assert found.moment.tzinfo is dt.UTC
        assert 1970 <= found.moment.year <= 2100
        assert found.origin in ("tags", "path")


@given(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 12, 31)))
def test_every_moment_is_read_back(moment: dt.datetime) -> None:
    expected = moment.replace(tzinfo=dt.UTC)
    tags = {"IMAGERY": {"ACQUISITIONDATETIME": moment.isoformat()}}
    assert acquired(tags, "") == Acquisition(expected, "tags")
    found = acquired({}, f"a_{moment:%Y%m%dT%H%M%S}_b.tif")
    assert found == Acquisition(expected.replace(microsecond=0), "path")
    found = acquired({}, f"LC8107035{moment:%Y%j}LGN00.tif")
    assert found is not None
    assert found.moment.date() == moment.date()
