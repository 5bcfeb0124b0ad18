"""Packaged weights; read with :func:`fusion_core.models.weights_file.load_weights`."""
