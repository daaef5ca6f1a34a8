"""The stages of the method, each from tensors to tensors: here one reads the mathematics."""
