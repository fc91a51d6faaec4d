"""What a search and a retraining share: optimizers, loss scaling, checkpoints, signals, memory."""
