"""The models that have a name; every other one is given by the URL of its file."""

PACKAGED_NAME = "refinefuse"
"""The packaged weights that are taken where none are named."""

MINI_NAME = "refinefuse-mini"
"""The packaged weights of a small network, for CPUs."""

PACKAGED_NAMES = (PACKAGED_NAME, MINI_NAME)

BASELINE_NAMES = ("mean", "maximum", "laplacian", "guided")
"""Methods without a network, to compare with."""
