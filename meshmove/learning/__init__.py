"""What every training has in common: the loop, its optimizers, checkpoints, and the files of weights."""
