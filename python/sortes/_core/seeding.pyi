"""The k-means++ family."""

__all__: list[str] = []
