"""Packaged weights; read with ``load_weights``."""
