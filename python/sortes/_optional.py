"""Packages that only some functions need."""

from __future__ import annotations

import importlib
from types import ModuleType


def require(name: str, extra: str) -> ModuleType:
    """Import a package that `sortes` does not depend on, or say how to install it.

    Parameters
    ----------
    name
        The module to import.
    extra
        The extra of `sortes` that installs it.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If it cannot be imported; the message names the extra.

    Examples
    --------
    >>> require("math", extra="all").sqrt(4.0)
    2.0
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"this function needs {name}; install it with: pip install 'sortes[{extra}]'"
        ) from error
