"""Ray: the actor that hosts a model and the scheduler loop that feeds a pool of them."""
