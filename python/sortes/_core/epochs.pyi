"""What each epoch of a training run sees."""

__all__: list[str] = []
