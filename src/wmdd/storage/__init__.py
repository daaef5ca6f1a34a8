"""Files: tensors, images, JSON. Every write goes to a temporary name, is flushed to disk, then renamed into place."""
