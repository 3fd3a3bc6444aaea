"""A code decodes a row as a uniform does in `decode.draw`, by the same read of the logits; integers
take the place of one multiplication. *NumPy* is the rule in float64 as one would write it: a
softmax, a running sum, a search. Rows are as on the page of decoding.
"""

PEERS = ("torch",)
