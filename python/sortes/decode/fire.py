"""FIRE: a hot first token, for samples that differ from the start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from sortes._arrays import host
from sortes._check import AT_LEAST_1, POSITIVE, AtLeastOne, Positive, count
from sortes.decode.rules import DEFAULTS
from sortes.decode.sampling import sample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sortes._rng import Rng


class FIRE:
    r"""FIRE: draw certain tokens, by default the first, at a high temperature.

    Parameters
    ----------
    fire_temperature : float
        The temperature of the heated tokens, positive.
    fire_top_k : int
        They are drawn among so many of the most likely ones, at least 1.
    positions : iterable of int
        Which generated tokens are heated, counted from 0 after the prompt.

    Raises
    ------
    ValueError
        If a parameter is outside its domain.

    Notes
    -----
    The law of a heated token is :math:`p_i \propto e^{l_i / T}` on the top :math:`k` logits (ties
    of the last are kept), whatever the rules of the other tokens say; those follow their rules
    alone. The cost is that of `sample`.

    Chen et al., "Flaming-hot Initiation with Regular Execution Sampling for Large Language
    Models", arXiv:2410.21236.

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
        positions: Iterable[int] = (0,),
    ) -> None:
        self.fire_temperature = POSITIVE.check(fire_temperature, "fire_temperature")
        self.fire_top_k = AT_LEAST_1.check(fire_top_k, "fire_top_k")
        self.positions = frozenset(count(p, "positions") for p in positions)

    def rules(self, position: ArrayLike, **rules: Any) -> dict[str, Any]:
        """Return the arguments with which `sample` draws the tokens at `position`.

        Parameters
        ----------
        position : int or array_like of int, shape (B,)
            How many tokens each row has generated.
        **rules
            The rule arguments of tokens that are not heated. Others are passed on.

        Returns
        -------
        dict
            Arguments for `sample`, `truncate`, `distribution` and their like.
        """
        places = host(position, "position", "iu")
        heated = np.isin(places, list(self.positions))
        if not heated.any():
            return rules
        fire = {"temperature": self.fire_temperature, "top_k": self.fire_top_k}
        if heated.all():
            return {name: value for name, value in rules.items() if name not in DEFAULTS} | fire
        mixed = dict(rules)
        for name in fire.keys() | (DEFAULTS.keys() & rules.keys()):
            value = rules.get(name, DEFAULTS[name])
            if value is not None:
                mixed[name] = np.where(heated, fire.get(name, DEFAULTS[name]), value)
        return mixed

    def sample(
        self,
        logits: Any,
        position: ArrayLike,
        *,
        rng: Rng = None,
        rows: ArrayLike | None = None,
        step: int = 0,
        num_threads: int | None = None,
        **rules: Any,
    ) -> Any:
        """Draw a token for each row.

        Parameters
        ----------
        logits : array_like, shape (V,) or (B, V)
            Logits, as in `sample`.
        position : int or array_like of int, shape (B,)
            How many tokens each row has generated.
        rng, rows, step, num_threads
            As in `sample`.
        **rules
            Further arguments of `sample`; the rules among them are for tokens that are not heated.

        Returns
        -------
        array_like of int64, shape (B,), or SampleOutput
            What `sample` returns.
        """
        return sample(
            logits,
            rng=rng,
            rows=rows,
            step=step,
            num_threads=num_threads,
            **self.rules(position, **rules),
        )
