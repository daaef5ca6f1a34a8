"""What a run will take, measured on a few steps of it before it begins."""
