"""Every README's examples run as they are written, and what the documents name is there."""

import datetime as dt
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from bright_squares import write_detector
from catalogued_scenes import scene_row, scene_rows
from clips import moving, write_video
from generated_scenes import scene_bands, write_raster
from package_graph import arrows
from prefect_processes import prefect_server
from published_rows import detection_rows, publish
from s3_servers import S3Server
from tiny import plain_network, png, tiny_model, write_fused, write_pairs

from flows.commandline.commands import COMMANDS
from flows.commandline.options import option_name
from fusion_core.demo import write_archive
from fusion_core.models.weights_file import save_weights
from fusion_core.scenes import write_scene_catalog
from fusion_core.storage import Storage

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "infra/demo.png"
SCENE = "LC08_L1TP_107035_20260401"

# In the order that a reader takes: each finds what those before it made. What fuses scenes into the
# manifest comes last, for the README counts its rows.
GUIDES = (
    *("README.md", "fusion_core/README.md", "fusion_core/reports/README.md"),
    *("fusion_core/training/README.md", "fusion_core/models/README.md"),
    *("fusion_core/metrics/README.md", "fusion_core/archive/README.md"),
    *("fusion_core/scenes/README.md", "fusion_core/registration/README.md"),
    *("fusion_core/video/README.md", "fusion_core/detection/README.md"),
)


def documents() -> list[Path]:
    folders = [ROOT / name for name in ("fusion_core", "actors", "flows", "infra", "tests")]
    below = [path for folder in folders for path in folder.rglob("*.md")]
    return sorted(
        [*ROOT.glob("*.md"), *(path for path in below if "compatibility" not in str(path))]
    )


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a document: language and content."""
    yield from re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """What a document's headings are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.fixture
def reader(
    s3: S3Server, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, object]:
    """What the reader has before the first example: an archive, a folder, a network."""
    for bucket in ("archive", "archive-fused", "archive-evaluation", "models"):
        s3.make_bucket(bucket)
    write_pairs("s3://archive", ["a", "b", "c"], size=(64, 64))
    write_fused("s3://archive", "densefuse", ["a", "b", "c"], size=(64, 64))
    save_weights("s3://models/mine.safetensors", tiny_model(), {})
    write_archive(str(tmp_path / "demo-archive/source"), pairs=2, height=96, width=128)
    ir, vi = scene_bands(7, (160, 180), bands=1)
    for name, pixels in (("B10", ir), ("B4", vi[0])):
        file = write_raster(tmp_path / f"{name}.TIF", pixels)
        Storage("s3://archive").write_file(f"{SCENE}/{SCENE}_{name}.TIF", file)
    put_clips(Storage("s3://archive"), tmp_path)
    put_detector(Storage("s3://models"), tmp_path)
    Storage("s3://archive").write("labels/a.txt", b"0 0.5 0.5 0.25 0.25\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")  # Polars wants to be told
    return {"network": plain_network()}


def put_clips(archive: Storage, folder: Path) -> None:
    """Put a clip of two videos and one of two sequences into an archive."""
    for side in ("ir", "vi"):
        frames = moving(5, infrared=side == "ir")
        file = write_video(folder / f"{side}.mp4", frames)
        archive.write_file(f"clips/{side}/gate.mp4", file)
        for number, pixels in enumerate(frames):
            archive.write(f"frames/{side}/yard/{number:04}.png", png(pixels))


def put_detector(models: Storage, folder: Path) -> None:
    """Put a detector of bright squares and its description beside other models."""
    path = Path(write_detector(folder))
    for suffix in (".onnx", ".json"):
        models.write_file(f"detector{suffix}", path.with_suffix(suffix))


@pytest.mark.ray
@pytest.mark.s3
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)  # nine starts of the command line
# torch copies its own specifications of trees by a class that it deprecates itself
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec.:FutureWarning")
def test_the_examples_run_as_written(
    reader: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {}
    # A server of their own would cost each command ten seconds.
    with prefect_server(tmp_path / "prefect", {}) as server:
        for guide in GUIDES:
            told[guide] = list[str]()
            for language, example in blocks((ROOT / guide).read_text()):
                if language == "python":
                    exec(compile(example, guide, "exec"), reader)
                elif language == "sh":
                    done = subprocess.run(
                        example, shell=True, env=server.environment, capture_output=True, text=True
                    )
                    assert done.returncode == 0, f"{guide}: {example}\n{done.stderr}"
                    told[guide].append(done.stdout)
    assert "0 would be fused" in told["README.md"][1]  # the dry run comes after the run
    compared, evaluated = told["fusion_core/reports/README.md"]
    assert "Means over the 3 pairs" in compared
    assert "| refinefuse | " in compared
    assert "3 pairs found for 3 models: 9 images fused and 0 failed" in evaluated
    assert "| mine | 3 | " in evaluated
    assert "| DenseFuse (published) | 42 | " in evaluated
    assert "20 steps on 2 pairs" in told["fusion_core/training/README.md"][0]
    assert "1 fused" in told["fusion_core/scenes/README.md"][0]
    (aligned,) = told["fusion_core/registration/README.md"]
    assert "- registration: 3 unsure" in aligned
    (clips,) = told["fusion_core/video/README.md"]
    assert clips.count("1 pairs found: 1 fused") == 2
    (detected,) = told["fusion_core/detection/README.md"]
    assert "9 images of them found: 9 looked at and 0 failed" in detected
    assert "(labelled boxes: 1 bright)" in detected
    assert {*reader["boxes"]["method"]} == {"infrared", "visible", "densefuse"}  # type: ignore[index]
    assert {*reader["clips"]["pair_id"]} == {"gate", "yard"}  # type: ignore[index]
    assert len(reader["worst"]) == 3  # type: ignore[arg-type]
    assert len(reader["rows"]) == 3  # type: ignore[arg-type]
    assert len(reader["failed"]) == 0  # type: ignore[arg-type]
    assert len(reader["scores"]) == 6  # type: ignore[arg-type]
    assert {*reader["by_method"].index} == {"refinefuse", "densefuse"}  # type: ignore[attr-defined]
    assert list(reader["scenes"]["pair_id"]) == [SCENE]  # type: ignore[index]
    assert (tmp_path / "fused.png").is_file()
    assert reader["same_size"].shape == reader["vi"].shape  # type: ignore[attr-defined]
    printed = capsys.readouterr().out
    assert "'qabf': " in printed
    assert "pair_id string what both source images share in their names" in printed
    assert "12 -7 shifted\nTrue aligned\n" in printed


def test_the_queries_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB would load from its makers what it needs for ``s3://``; so they ask a folder."""
    monkeypatch.chdir(tmp_path)
    output = Storage(str(tmp_path / "archive-fused"))
    taken = dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
    named = [scene_row(f"scene_000{k}", acquired=taken) for k in (1, 2)]
    publish(output, 1, [scene_rows(*named, scene_row("scene_0003", status="failed"))])
    publish(output, 2, [detection_rows()], table="detections")
    write_scene_catalog(output, "catalog")

    def answers(guide: str) -> list[list[dict[str, object]]]:
        connection = duckdb.connect()
        queries = [
            text for language, text in blocks((ROOT / guide).read_text()) if language == "sql"
        ]
        statements = duckdb.extract_statements("".join(queries).replace("s3://", ""))
        found = []
        for one in statements:
            if one.type == duckdb.StatementType.SELECT:
                found.append(connection.sql(one.query).to_arrow_table().to_pylist())
            else:
                connection.execute(one)
        return found

    counted, one_pair = answers("README.md")
    assert {row["status"]: row["count_star()"] for row in counted} == {"ok": 2, "failed": 1}
    assert [row["pair_id"] for row in one_pair] == ["scene_0001"]
    (boxes,) = answers("fusion_core/detection/README.md")
    assert [(row["class"], row["x"]) for row in boxes] == [("car", 1.5), ("person", 2.0)]
    (scenes,) = answers("fusion_core/scenes/README.md")
    assert {str(row["id"])[:10] for row in scenes} == {"scene_0001", "scene_0002"}


def test_every_document_with_examples_is_run() -> None:
    def with_blocks_of(*languages: str) -> set[str]:
        return {
            str(path.relative_to(ROOT))
            for path in documents()
            if {*languages} & {language for language, _ in blocks(path.read_text())}
        }

    assert with_blocks_of("python", "sh") == set(GUIDES)
    packages = ("archive", "detection", "scenes")
    asked = {f"fusion_core/{name}/README.md" for name in packages}
    assert with_blocks_of("sql") == {"README.md", *asked}


def test_what_a_console_shows_is_what_only_an_operator_can_run() -> None:
    elsewhere = ("make", "pip", "prefect", "export", "until", "docker", "kubectl", "echo")
    for path in documents():
        if path.name != "README.md":
            continue
        for language, block in blocks(path.read_text()):
            commands = re.sub(r"\\\n", " ", block).splitlines() if language == "console" else []
            for command in commands:
                deploys = command.startswith(("fuse-archive init", "fuse-archive deploy"))
                assert deploys or command.split()[0] in elsewhere, f"{path}: {command}: into sh"


def test_every_option_that_is_named_exists() -> None:
    commands = [command for own in COMMANDS.values() for command in own]
    fields = {name for command in commands for name in command.settings.model_fields}
    options = {option_name(name) for name in fields} | {"--quiet", "--verbose", "--json"}
    options |= {option.replace("--", "--no-", 1) for option in options}
    prefects = {"--host", "--type", "--no-prompt", "--prefect-file", "--all", "--pool"}
    dockers = {"--build", "--detach", "--rm"}
    others = {"--silent", "--fail", "--constraint", "--index-url", "--help", "--version"}
    others |= {"--background", "--install-completion", "--stretch"}
    for path in documents():
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", path.read_text()))
        assert named <= options | prefects | dockers | others, path


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in documents():
        text = path.read_text()
        lines = re.findall(r"^make ([a-z0-9 -]+?)(?:  |$)", text, re.MULTILINE)
        lines += re.findall(r"`make ([a-z0-9 -]+)`", text)
        named = {target for line in lines for target in line.split()}
        assert named <= targets, path


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists(), link
        assert ROOT in target.parents, f"{link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target.read_text()), link


def test_every_guide_is_reached_from_the_first() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        links = re.findall(r"\]\(([^)\s#:]+)[#)]", prose(path.read_text()))
        waiting += [(path.parent / link).resolve() for link in links]
    assert set(documents()) <= seen


def test_the_readme_is_short_and_its_picture_small() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) < 250
    assert f"]({PICTURE.relative_to(ROOT)})" in readme
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
    assert PICTURE.stat().st_size < 300_000


def test_the_packages_are_told_from_the_bottom_up() -> None:
    text = (ROOT / "fusion_core/README.md").read_text()
    told = re.findall(r"^\| \[`(\w+)`\]", text, re.MULTILINE)
    graph = arrows(ROOT)
    assert sorted(told) == sorted(graph)
    for package, below in graph.items():
        assert {*below} <= {*told[: told.index(package)]}, package


def test_nothing_refers_to_a_text_that_is_not_here() -> None:
    files = [path for end in ("py", "md", "yaml") for path in ROOT.glob(f"[!.]*/**/*.{end}")]
    for path in [*ROOT.glob("*.md"), *files]:
        assert not re.search(r"decision \d", path.read_text()), path


def test_the_schedule_section_agrees_with_the_deployment() -> None:
    yaml = (ROOT / "infra/prefect.yaml").read_text()
    readme = (ROOT / "README.md").read_text()
    for command in ("fuse-archive deploy", "prefect deployment run fuse-archive/nightly"):
        assert command in readme
        assert command in yaml
