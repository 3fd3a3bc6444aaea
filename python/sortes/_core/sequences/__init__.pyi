"""Whole texts."""

from . import arithmetic as arithmetic

__all__ = ["arithmetic"]
