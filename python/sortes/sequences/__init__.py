"""Whole texts, several of them, drawn together.

`ArithmeticCodes` draws many texts in parallel, each an exact sample, all of them spread evenly over
what the model can say. The family stands on `sortes.decode`, whose rules it takes.
"""

from sortes.sequences.arithmetic import ArithmeticCodes, ArithmeticOutput, arithmetic_codes

__all__ = ["ArithmeticCodes", "ArithmeticOutput", "arithmetic_codes"]
