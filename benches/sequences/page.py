"""A code decodes a row as a uniform does in `decode.draw`, by the same read of the logits; integers
take the place of one multiplication. A node of a search costs such a read as well, and little
beyond it. *NumPy* is each algorithm in float64 as one would write it. Rows are as on the page of
decoding, those of searches Gumbel with scale 2.5. Several texts of a prompt are timed with the
model, whose weights are random: hidden size 64, two layers. Under a regular expression a step is
the mask of what may follow and the move to the next token; outlines-core computes all of its masks
at first, ours and llguidance's come as they are asked for.
"""

PEERS = ("torch", "transformers", "outlines-core", "llguidance")
