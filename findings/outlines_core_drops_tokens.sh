#!/usr/bin/env bash
# outlines-core 0.2.14: tokens that an expression allows are left out behind some states.
#
# An index of a regular expression and a vocabulary says which tokens may follow. Of (ab)+ a text may
# go on after "ab", by a or by ab, or end. Left out are tokens that stop in the midst of a repetition
# behind a state in which the text may end.
#
# Seen, with the tokens a = 0, b = 1, ab = 2 and the end:
#   after "ab"        [2, end]       and not a, which "abab" needs
#   without token 2   [end]          so that "abab" cannot be written at all
#
# Why it matters: the law of what is generated under the expression is another one, texts that match
# are lost, and with a vocabulary of letters the language is cut to its shortest word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install -q outlines-core==0.2.14

"$folder/bin/python" - <<'PYTHON'
from outlines_core import Guide, Index, Vocabulary


def after_ab(tokens, end):
    """The tokens that may follow a and b."""
    guide = Guide(Index("(ab)+", Vocabulary(end, {text: [i] for i, text in enumerate(tokens)})))
    guide.advance(0)
    guide.advance(1)
    return sorted(guide.get_tokens())


three, two = after_ab(["a", "b", "ab"], 3), after_ab(["a", "b"], 2)
print("outlines-core 0.2.14: of a, b, ab and the end may follow", three, "and without ab", two)
assert three == [2, 3], "what may follow is no longer as stated"
assert two == [2], "what may follow letters is no longer as stated"
PYTHON
