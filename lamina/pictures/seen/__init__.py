"""What a model has learned, and what it does with data, as figures of matplotlib (`pip install lamina[plot]`)."""
