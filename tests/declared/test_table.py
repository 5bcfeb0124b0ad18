"""Every file means what it declares, whatever its container, on either side of any pair."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from declared import CONTAINERS, Declared
from declared_judge import NOT_APPLICABLE, REFUSED, RIGHT, WRONG, Verdict, judge
from declared_refusals import REFUSALS
from declared_run import fuse_cells
from declared_table import PROPERTIES, Key, cell, keys

Judged = Callable[[str, bool], dict[Key, Verdict]]

QUICK = ("tiff", "geotiff")
"""The containers that hold nearly every property; the others take a minute more."""

FILES = [
    pytest.param(
        *(name, value, container),
        id=f"{name} - {value} - {container}",
        marks=() if container in QUICK else pytest.mark.long,
    )
    for name, prop in PROPERTIES.items()
    for value in prop.values
    for container in CONTAINERS
    if isinstance(cell(name, value, container), Declared)
]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Return what fuses and judges the cells of a property, once for all tests."""

    @functools.cache
    def of(name: str, quick: bool) -> dict[Key, Verdict]:
        folder: Path = tmp_path_factory.mktemp("declared")
        cells = [key for key in keys(name) if not quick or key.container in QUICK]
        found = fuse_cells(cells, folder)
        return {key: judge(key, found.get(key)) for key in cells}

    return of


@pytest.mark.parametrize(("name", "value", "container"), FILES)
def test_a_file_means_what_it_declares(
    name: str, value: str, container: str, judged: Judged
) -> None:
    verdicts = {
        key: verdict
        for key, verdict in judged(name, container in QUICK).items()
        if (key.value, key.container) == (value, container)
    }
    wrong = [f"{key}: {verdict}" for key, verdict in verdicts.items() if verdict.state == WRONG]
    assert len(verdicts) == 4
    assert not wrong, "\n".join(wrong)


@pytest.mark.long
@pytest.mark.parametrize("name", PROPERTIES)
def test_every_cell_has_a_state_and_every_state_but_right_a_reason(
    name: str, judged: Judged
) -> None:
    verdicts = judged(name, False)
    assert set(verdicts) == set(keys(name))
    states = {verdict.state for verdict in verdicts.values()}
    assert states <= {RIGHT, REFUSED, NOT_APPLICABLE, WRONG}
    assert all(verdict.reason for verdict in verdicts.values() if verdict.state != RIGHT)


@pytest.mark.long
@pytest.mark.parametrize("rule", REFUSALS, ids=lambda rule: f"{rule.name} - {rule.why}")
def test_no_refusal_is_allowed_in_vain(rule: object, judged: Judged) -> None:
    (found,) = [known for known in REFUSALS if known is rule]
    states = [v.state for key, v in judged(found.name, False).items() if found.covers(key)]
    assert REFUSED in states
