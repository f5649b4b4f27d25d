"""Trainer."""
class Trainer:
    pass
