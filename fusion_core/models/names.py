"""The models that have a name; every other one is given by the URL of its file."""

PACKAGED_NAME = "refinefuse"
"""The packaged weights."""

BASELINE_NAMES = ("mean", "maximum", "laplacian", "guided")
"""Methods without a network, to compare with."""
