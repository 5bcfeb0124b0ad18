"""Ray: actors that fuse and score, the scheduler that feeds a pool of them, and training."""
