import torch

# Threads that compete for busy cores, or wait for each other over small images, cost far more than
# they save.
torch.set_num_threads(1)
