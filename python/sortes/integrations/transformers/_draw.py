"""Draws inside a logits processor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack

import torch
from transformers import LogitsProcessor

from sortes import decode
from sortes.decode.rules import as_rules
from sortes.integrations.transformers._rng import coins, ids_of_rows, settled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sortes._rng import Rng


class SortesDrawProcessor(LogitsProcessor):
    """Draw the token here, and leave it as the only one that can be drawn.

    For engines and pipelines that take logits processors but no ``custom_generate``. Put it last:
    temperature and truncation that follow change nothing any more.

    Parameters
    ----------
    rules : Rules, optional
        The rules, instead of `rule_args`.
    rows : array_like of int, shape (B,), optional
        Stream ids of the rows, in [0, 2**32); by default their places in the batch.
    rng : Rng, optional
        The randomness: None for fresh entropy, or a seed, generator or stream (see `sortes.Rng`).
        None draws from Torch's global generator; otherwise the draw of a row is a function of
        `rng`, the row's stream id and the length of the text.
    **rule_args
        Rule arguments of `sortes.decode.sample`.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its domain.

    Notes
    -----
    With a fixed `rng`, two texts of the same batch position and length meet the same coins; make
    one processor per call of ``generate``, or leave `rng` out. `sample` of this module does the
    same without the row that this one has to write.

    Examples
    --------
    >>> logits = torch.tensor([[2.0, 1.0, 0.0]])
    >>> SortesDrawProcessor(top_k=1)(torch.zeros(1, 4, dtype=torch.long), logits)
    tensor([[0., -inf, -inf]])
    """

    supports_continuous_batching = False

    def __init__(
        self,
        rules: decode.Rules | None = None,
        *,
        rows: ArrayLike | None = None,
        rng: Rng = None,
        **rule_args: Unpack[decode.RuleArgs],
    ) -> None:
        self.rules = as_rules(rules, rule_args)
        self.rows = ids_of_rows(rows)
        self.rng = settled(rng)

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return rows that are zero at the drawn token and minus infinity elsewhere.

        Parameters
        ----------
        input_ids : LongTensor, shape (B, T)
            The text so far.
        scores : tensor, shape (B, V)
            The logits.

        Returns
        -------
        tensor, shape (B, V)
            A new tensor.

        Raises
        ------
        ValueError
            If a score is NaN or plus infinity, a row has no finite one, or the scores do not fit
            the rules or the rows.
        TypeError
            If the scores are no floats.
        """
        coin = coins(self.rng, input_ids)
        tokens = decode.sample(scores, self.rules, rows=self.rows, **coin)
        return torch.full_like(scores, -math.inf).scatter_(1, tokens[:, None], 0.0)
