"""Objects whose state is bytes: the one way to copy, save and send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class Native(Protocol):
    """What a native object offers that holds the state of another."""

    def copy(self) -> Any: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes, /) -> Any: ...


class Stateful:
    """An object around a native one; a subclass names its class and keeps it as ``_native``."""

    _native_class: ClassVar[type[Native]]
    _native: Any

    def copy(self) -> Self:
        """Return an object of the same state, which changes on its own.

        Returns
        -------
        Self
            The copy.

        Examples
        --------
        >>> from sortes.select import DynamicWeights
        >>> weights = DynamicWeights([1, 2])
        >>> weights.copy().update(0, 5).total, weights.total
        (7.0, 3.0)
        """
        return self._of(self._native.copy())

    def to_bytes(self) -> bytes:
        """Return the state in a stable format: with its kind, a version and a checksum.

        Returns
        -------
        bytes
            Little-endian words of eight bytes, the same on every machine.

        Examples
        --------
        >>> from sortes.select import DynamicWeights
        >>> len(DynamicWeights([1, 2]).to_bytes())
        40
        """
        return self._native.to_bytes()  # type: ignore[no-any-return]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the object whose state `to_bytes` has written.

        Parameters
        ----------
        data : bytes
            The state. It may come from anywhere: everything in it is checked.

        Returns
        -------
        Self
            It goes on exactly as the one that was written would.

        Raises
        ------
        ValueError
            If the bytes are those of no such object, are corrupt, or have an unknown version.
        TypeError
            If `data` are no bytes.

        Examples
        --------
        >>> from sortes.select import DynamicWeights
        >>> DynamicWeights.from_bytes(DynamicWeights([1, 2]).to_bytes()).total
        3.0
        """
        return cls._of(cls._native_class.from_bytes(bytes_of(data)))

    @classmethod
    def _of(cls, native: Any) -> Self:
        out = cls.__new__(cls)
        out._native = native
        return out

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: object) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Callable[[bytes], Self], tuple[bytes]]:
        return type(self).from_bytes, (self.to_bytes(),)


def bytes_of(data: Any, name: str = "data") -> bytes:
    """Return bytes, or a copy of the bytes of a buffer.

    Examples
    --------
    >>> bytes_of(bytearray(b"ab"))
    b'ab'
    """
    if type(data) is bytes:
        return data
    try:
        return bytes(memoryview(data))
    except TypeError:
        raise TypeError(f"{name}: must be bytes, got {type(data).__name__}") from None
