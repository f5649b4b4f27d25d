"""What a layer is: declared arguments, weights, calls, symbolic tensors and plans."""
