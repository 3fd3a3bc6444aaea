"""A row is decoded by an arithmetic code or by a uniform, which is what `decode.draw` does: the same
read of the logits, and then integers in place of one multiplication. *NumPy* is the rule in float64
as one would write it: a softmax, a running sum, a search. Rows are as on the page of decoding.
"""

PEERS = ("torch",)
