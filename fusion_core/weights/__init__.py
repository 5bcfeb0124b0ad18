"""Packaged weights; read with :func:`fusion_core.weights_file.load_weights`."""
