"""Parts that search and retraining share: optimizers, checkpoints, loss scaling, memory."""
