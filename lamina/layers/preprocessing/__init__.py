"""What turns raw data (numbers, categories, texts, pictures, sounds) into tensors that layers learn from."""
