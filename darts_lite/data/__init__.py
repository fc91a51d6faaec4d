"""Images in batches on the training device."""
