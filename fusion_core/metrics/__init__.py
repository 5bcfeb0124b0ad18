"""The seven published fusion metrics."""
