"""Everything about one pair or one chunk: network, metrics, image files, pairing, manifest."""
