"""What turns raw data (numbers of any scale, categories, texts) into tensors that layers learn from."""
