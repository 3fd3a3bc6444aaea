"""FIRE: a hot first token, for samples that differ from the start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Unpack, overload

import numpy as np

from sortes._arrays import host, numbers_of
from sortes._check import AT_LEAST_1, POSITIVE, AtLeastOne, Count, Positive, count, several
from sortes._device import to_host
from sortes.decode.rules import DEFAULTS, RuleArgs, Rules
from sortes.decode.sampling import SampleArgs, SampleOutput, sample

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray

_RULE_ARGS: Final = RuleArgs.__optional_keys__


class FIRE:
    r"""FIRE: draw certain tokens, by default the first, at a high temperature.

    Parameters
    ----------
    fire_temperature : float
        The temperature of the heated tokens, positive.
    fire_top_k : int
        They are drawn among this many of the most likely ones, at least 1.
    positions : iterable of int
        Which generated tokens are heated, counted from 0 after the prompt.

    Attributes
    ----------
    fire_temperature : float
        As given.
    fire_top_k : int
        As given.
    positions : frozenset of int
        As given.

    Raises
    ------
    ValueError
        If a parameter is outside its domain.
    TypeError
        If an argument has the wrong type.

    Notes
    -----
    The law of a heated token is $p_i \propto e^{l_i / T}$ on the top $k$ logits (ties of the last
    are kept), whatever the rules of the other tokens say; those follow their rules alone. The cost
    is that of `sample`. The object keeps no state: a call says how far each row is.

    References
    ----------
    Chen, Zhang, Huang, Niu, Zhang, Wen and Hu, "Flaming-hot Initiation with Regular Execution
    Sampling for Large Language Models", 2024, arXiv:2410.21236.

    Examples
    --------
    >>> import numpy as np
    >>> from sortes.decode import FIRE, distribution
    >>> fire = FIRE(fire_top_k=2)
    >>> logits = np.array([3.0, 2.0, 0.0])
    >>> distribution(logits, **fire.rules(0)).round(2)
    array([0.51, 0.49, 0.  ])
    >>> fire.rules(1, top_p=0.9)
    {'top_p': 0.9}
    """

    def __init__(
        self,
        fire_temperature: Positive = 30.0,
        fire_top_k: AtLeastOne = 16,
        *,
        positions: Iterable[int] = (0,),
    ) -> None:
        self.fire_temperature = POSITIVE.check(fire_temperature, "fire_temperature")
        self.fire_top_k = AT_LEAST_1.check(fire_top_k, "fire_top_k")
        each = several(positions, "positions", "integers")
        self.positions = frozenset(count(position, "positions") for position in each)

    def rules(self, position: ArrayLike, **rules: Unpack[RuleArgs]) -> RuleArgs:
        """Return the rules by which the tokens at `position` are drawn.

        Parameters
        ----------
        position : int or array_like of int, shape (B,)
            How many tokens each row has generated.
        **rules
            The rule arguments (see `Rules`) of tokens that are not heated.

        Returns
        -------
        dict
            Rule arguments for `sample`, `truncate`, `distribution` and their like.

        Raises
        ------
        TypeError
            If positions are no integers, or as `Rules`.
        ValueError
            If positions are an array of more than one dimension, or as `Rules`.

        Examples
        --------
        >>> from sortes.decode import FIRE
        >>> FIRE(20.0).rules([0, 5], temperature=0.8)["temperature"]
        array([20. ,  0.8])
        """
        at = host(to_host(position), "position", "iu")
        if at.ndim > 1:
            raise ValueError(f"position: must be an integer or have shape (B,), got {at.shape}")
        heated = np.isin(at, list(self.positions))
        Rules(**rules)  # reports what is wrong with them
        given: dict[str, Any] = dict(rules)
        if not heated.any():
            return given  # type: ignore[return-value]
        fire = {"temperature": self.fire_temperature, "top_k": self.fire_top_k}
        if heated.all():
            kept = {name: value for name, value in given.items() if name not in DEFAULTS}
            return kept | fire  # type: ignore[return-value]
        # Row by row: what heats, with every other rule off, or the rules as given.
        for name in fire.keys() | (DEFAULTS.keys() & given.keys()):
            value = to_host(given.get(name, DEFAULTS[name]))
            if value is not None:
                value = numbers_of(value, name, rows=heated.size, booleans=True)
                given[name] = np.where(heated, fire.get(name, DEFAULTS[name]), value)
        return given  # type: ignore[return-value]

    @overload
    def sample(
        self,
        logits: torch.Tensor,
        position: ArrayLike,
        *,
        logprobs: None = None,
        **arguments: Unpack[SampleArgs],
    ) -> torch.Tensor: ...
    @overload
    def sample(
        self,
        logits: torch.Tensor,
        position: ArrayLike,
        *,
        logprobs: int,
        **arguments: Unpack[SampleArgs],
    ) -> SampleOutput[torch.Tensor]: ...
    @overload
    def sample(
        self,
        logits: ArrayLike,
        position: ArrayLike,
        *,
        logprobs: None = None,
        **arguments: Unpack[SampleArgs],
    ) -> NDArray[np.int64]: ...
    @overload
    def sample(
        self,
        logits: ArrayLike,
        position: ArrayLike,
        *,
        logprobs: int,
        **arguments: Unpack[SampleArgs],
    ) -> SampleOutput[NDArray[Any]]: ...
    def sample(
        self,
        logits: ArrayLike,
        position: ArrayLike,
        *,
        logprobs: Count | None = None,
        **arguments: Unpack[SampleArgs],
    ) -> Any:
        """Draw a token for each row.

        Parameters
        ----------
        logits : array_like or tensor, shape (V,) or (B, V)
            As in `sortes.decode.sample`.
        position : int or array_like of int, shape (B,)
            How many tokens each row has generated.
        logprobs : int, optional
            As in `sortes.decode.sample`.
        **arguments
            The other arguments of `sortes.decode.sample`; the rules among them are those of tokens
            that are not heated.

        Returns
        -------
        tokens : int64, shape (B,) or ()
            The tokens; with `logprobs`, a `SampleOutput`.

        Raises
        ------
        ValueError
            As in `sortes.decode.sample`.
        TypeError
            If positions are no integers, or as in `sortes.decode.sample`.

        Examples
        --------
        >>> import numpy as np
        >>> from sortes.decode import FIRE
        >>> fire, logits = FIRE(), np.array([3.0, 2.0, 0.0])
        >>> fire.sample(logits, 1, rng=0, step=1, top_p=0.5).item()
        0
        """
        others: dict[str, Any] = dict(arguments)
        rules: Any = {name: others.pop(name) for name in _RULE_ARGS & others.keys()}
        now: Any = self.rules(position, **rules)
        return sample(logits, logprobs=logprobs, **others, **now)

    def __repr__(self) -> str:
        positions = tuple(sorted(self.positions))
        return f"FIRE({self.fire_temperature}, {self.fire_top_k}, positions={positions})"
