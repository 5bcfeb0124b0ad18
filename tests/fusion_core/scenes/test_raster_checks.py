"""Headers that are damaged."""
