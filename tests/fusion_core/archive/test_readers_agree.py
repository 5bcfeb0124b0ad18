"""pandas, Polars and DuckDB read the same values and types of a manifest, as the READMEs ask them.

What is asked stands in the READMEs alone; the tests run it over a folder, where these name a
bucket. The manifest has rows of the schema before beside today's, and counts that are null.
"""

import datetime as dt
import re
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from catalogued_scenes import scene_row, scene_rows
from published_rows import publish
from s3_servers import S3Server
from version_before import COMPATIBILITY

from fusion_core.archive import MANIFEST_SCHEMA, read_manifest
from fusion_core.storage import Storage

ROOT = Path(__file__).resolve().parents[3]
GUIDES = ("README.md", "fusion_core/archive/README.md")
OLD_DAY, DAY = dt.date(2026, 11, 14), dt.date(2026, 11, 20)
ALIGNED = {"registration": "corrected", "registration_matrix": [1.0, 0, 3, 0, 1, -2, 0, 0, 1]}
METRICS = ["vif", "ag", "scd", "qabf", "sf", "en", "ssim"]


def write_manifest(output: Storage, *, old_rows: bool = True) -> None:
    """Two rows by each of two settings, one of them failed, and two by the schema before."""
    failed = {"status": "failed", "height": None, "fused_bytes": None, "stage": "decode"}
    rows = [
        scene_row(
            "scene_0001", settings_hash="old", vif=0.25, ag=4.0, outline=b"\0\xff", **ALIGNED
        ),
        scene_row("scene_0002", settings_hash="old", vif=None),
        scene_row("scene_0001", settings_hash="new", attempt=2, vif=0.5, acquired=None),
        scene_row("scene_0003", settings_hash="new", **failed),
    ]
    publish(output, 1, [scene_rows(*rows)])
    if old_rows:
        body = (COMPATIBILITY / "schema_versions/manifest_schema_4.parquet").read_bytes()
        output.write(f"manifest/date={OLD_DAY}/part-0.parquet", body)


def examples(guide: str, language: str) -> str:
    text = (ROOT / guide).read_text()
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def answers_in_python(guide: str) -> dict[str, Any]:
    """Run what a README asks of a manifest in Python, and return what it names."""
    text = examples(guide, "python").replace("s3://", "")
    named: dict[str, Any] = {}
    exec(text.partition("import numpy as np")[0], named)
    return named


def answers_in_sql(guide: str) -> tuple[list[pa.Table], pa.Table]:
    """Run what a README asks in SQL; return the answers, and all of its view."""
    connection = duckdb.connect()
    answers = []
    for one in duckdb.extract_statements(examples(guide, "sql").replace("s3://", "")):
        if one.type == duckdb.StatementType.SELECT:
            answers.append(connection.sql(one.query).to_arrow_table())
        else:
            connection.execute(one)
    return answers, connection.sql("FROM manifest").to_arrow_table()


def in_order(table: pa.Table) -> pa.Table:
    """Return rows in the order of the schema, with the names of UTC, text, bytes, lists made one.

    Every other difference of types stays.
    """

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(kind) and kind.tz in ("UTC", "Etc/UTC"):
            return pa.timestamp(kind.unit, "UTC")
        if pa.types.is_large_list(kind) or pa.types.is_list(kind):
            return pa.list_(pa.field("element", kind.value_type))
        large = {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}
        return large.get(kind, kind)

    table = table.select(MANIFEST_SCHEMA.names)
    fields = [pa.field(field.name, plain(field.type)) for field in table.schema]
    keys = [(name, "ascending") for name in ("pair_id", "settings_hash", "started")]
    return table.cast(pa.schema(fields)).sort_by(keys).combine_chunks()


def as_arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.chdir(tmp_path)
    made = Storage(str(tmp_path / "archive-fused"))
    write_manifest(made)
    return made


@pytest.mark.usefixtures("output")
def test_three_readers_and_ours_agree_on_every_value_and_type() -> None:
    asked = answers_in_python("fusion_core/archive/README.md")
    ours = in_order(read_manifest("archive-fused/manifest", latest=False))
    found = {
        "pandas": as_arrow(asked["in_pandas"]),
        "pandas, first README": as_arrow(answers_in_python("README.md")["rows"]),
        "Polars": asked["in_polars"].collect().to_arrow(),
        "DuckDB": answers_in_sql("fusion_core/archive/README.md")[1],
    }
    assert len(ours) == 6
    assert [field.type for field in ours.schema] == [field.type for field in MANIFEST_SCHEMA]
    assert ours["fused_bytes"].null_count > 0
    for reader, table in found.items():
        rows = in_order(table)
        types = {field.name: field.type for field in rows.schema}
        assert types == {field.name: field.type for field in ours.schema}, reader
        assert rows.to_pylist() == ours.to_pylist(), reader
    mapped = read_manifest("archive-fused/manifest").to_pandas(types_mapper=pd.ArrowDtype)
    assert list(mapped.dtypes) == list(asked["in_pandas"].dtypes)


@pytest.mark.usefixtures("output")
def test_means_are_those_of_one_settings_hash_and_the_same_in_all_three() -> None:
    asked = answers_in_python("README.md")
    by_hash = asked["means"]
    assert {"old", "new"} < {*by_hash.index}
    assert (by_hash.loc["old", "vif"], by_hash.loc["new", "vif"]) == (0.25, 0.5)
    assert list(by_hash.columns) == METRICS
    assert pd.isna(by_hash.loc["new", "ag"])
    guide = "fusion_core/archive/README.md"
    polars = {row[0]: row[1:] for row in answers_in_python(guide)["means"].iter_rows()}
    (means,), _ = answers_in_sql(guide)
    duck = {row[0]: row[1:] for row in zip(*means.to_pydict().values(), strict=True)}
    pandas = {
        name: tuple(None if pd.isna(value) else value for value in row)
        for name, *row in by_hash[["vif", "qabf", "ssim"]].itertuples(name=None)
    }
    assert polars == duck == pandas
    assert len(asked["failed"]) == 2
    assert "scene_0003" in set(asked["failed"]["pair_id"])
    counted, one_pair = answers_in_sql("README.md")[0]
    assert dict(zip(*counted.to_pydict().values(), strict=True)) == {"ok": 4, "failed": 2}
    assert one_pair["settings_hash"].to_pylist() == ["old", "new"]


def test_the_newest_settings_are_those_of_the_rows_that_came_last(output: Storage) -> None:
    text = (ROOT / "fusion_core/archive/README.md").read_text()
    (query,) = re.findall(r"`(rows\[rows\.settings_hash == .*?)`", text, re.DOTALL)
    later = scene_row(
        "scene_0004", settings_hash="a", started=dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    )
    publish(output, 2, [scene_rows(later)], "manifest")
    rows = answers_in_python("README.md")["rows"]
    assert list(eval(query, {"rows": rows})["pair_id"]) == ["scene_0004"]


def test_without_these_arguments_they_differ_as_the_table_says(output: Storage) -> None:
    """If one of these fails, a reader has learned something: the README can be shorter."""
    folder, files = "archive-fused/manifest", "archive-fused/manifest/*/*.parquet"
    today = [name for name in MANIFEST_SCHEMA.names if name != "date"]
    plain = pd.read_parquet(folder)
    assert plain["date"].dtype == "category"
    assert plain["fused_bytes"].dtype == "float64"
    assert "attempt" not in plain  # which the first file lacks
    nullable = pd.read_parquet(folder, dtype_backend="numpy_nullable")
    assert nullable["fused_bytes"].dtype == "Int64"
    hive = ds.partitioning(pa.schema([("date", pa.date32())]), flavor="hive")
    dated = pd.read_parquet(folder, dtype_backend="pyarrow", partitioning=hive)
    assert dated["date"].dtype == pd.ArrowDtype(pa.date32())
    assert "attempt" not in duckdb.sql(f"FROM read_parquet('{files}')").columns
    with pytest.raises(pl.exceptions.SchemaError, match="extra column"):
        pl.scan_parquet(folder).collect()
    shutil.rmtree(Path(output.url("manifest")) / f"date={OLD_DAY}")
    by_pattern = pl.scan_parquet(files)
    assert by_pattern.collect_schema().names() == today
    named = pl.scan_parquet(files, hive_partitioning=True).collect_schema()
    assert named["date"] == pl.Date


@pytest.mark.s3
def test_pandas_and_polars_agree_on_s3(
    s3: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB would load from its makers what it needs for S3."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    write_manifest(Storage(f"s3://{s3_bucket}/archive-fused"))
    text = examples("fusion_core/archive/README.md", "python")
    asked: dict[str, Any] = {}
    exec(text.replace("s3://archive-fused", f"s3://{s3_bucket}/archive-fused"), asked)
    rows = in_order(as_arrow(asked["in_pandas"]))
    assert len(rows) == 6
    assert in_order(asked["in_polars"].collect().to_arrow()).equals(rows)
