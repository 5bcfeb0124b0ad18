"""The example of the package's page, without the command line that the other guides need."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "fusion_core/registration/README.md"


def test_the_example_finds_and_mends_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    exec(compile(example, str(PAGE), "exec"), {})
    assert capsys.readouterr().out == "12 -7 shifted\nTrue aligned\n"
