"""Items of any kind in splits and batches on the training device."""
