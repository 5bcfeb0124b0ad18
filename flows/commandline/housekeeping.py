"""The commands that keep house in an output."""

from __future__ import annotations

from pydantic import Field

from flows.commandline.command import Command, OfOutput, Told


class Check(OfOutput):
    """What check can be told."""

    deep: bool = Field(False, description="Read every image, and compare its sha256.")


class Clean(OfOutput):
    """What clean can be told."""

    kinds: str = Field(
        "",
        description="What to look at, with commas: images, runs, commits, leases, index, "
        "temporaries, superseded. Default: all but superseded, which are images and rows whose "
        "pair was fused again by the same method: from other files, or by other settings or "
        "another model.",
    )
    days: float = Field(
        30.0,
        ge=0.0,
        description="Folders of runs, and commits, stay for so many days, and images for so many "
        "since they were superseded.",
    )
    forget: str | None = Field(
        None,
        description="Remove all that there is of these pairs instead, and search for what is left: "
        "ids with commas, or @FILE with one on each line.",
    )
    yes: bool = Field(False, description="Remove it. Default: only tell.")


def check(given: Check) -> tuple[Told, int]:
    """Look for what must not be there."""
    from flows.keeping import check_output

    found = check_output(given.output, given.credentials_block, deep=given.deep)
    return found, int(not found.well)


def clean(given: Clean) -> tuple[Told, int]:
    """Tell what may go, or remove it."""
    from flows.keeping import clean_output, forget_pairs, read_pairs

    where = given.output, given.credentials_block
    if given.forget is None:
        kinds = [kind.strip() for kind in given.kinds.split(",") if kind.strip()]
        return clean_output(*where, kinds=kinds, days=given.days, really=given.yes), 0
    found = forget_pairs(*where, read_pairs(given.forget), really=given.yes)
    return found, int(not found.well)


def index(given: OfOutput) -> tuple[Told, int]:
    """Make the index anew."""
    from flows.keeping import rebuild_index

    return rebuild_index(given.output, given.credentials_block), 0


HOUSEKEEPING = (
    Command(
        "check", "Look for what is wrong in an output; exits with 1 if anything is.", Check, check
    ),
    Command("clean", "Tell what nobody needs any more, and remove it with --yes.", Clean, clean),
    Command("index", "Make the index of an output anew.", OfOutput, index),
)
