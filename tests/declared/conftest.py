import torch

# Threads that wait for each other over small images cost far more than they save.
torch.set_num_threads(1)
