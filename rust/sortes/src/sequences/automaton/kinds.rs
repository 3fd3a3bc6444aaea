//! Kinds of characters: what 64 bits say of the bytes of a token.
//!
//! Where every character of some kinds leads from a state back to it, a token of such characters alone
//! does so too, and nobody needs to read its bytes.

use super::bytes::ByteAutomaton;

/// A set of kinds, one bit for each.
pub(super) type Kinds = u64;

/// How many kinds there are.
pub(super) const KINDS: usize = 64;
/// A whole character beyond ASCII.
const WIDE: u8 = 62;
/// Bytes that are no whole character: they lead nowhere in particular.
const BROKEN: u8 = 63;

/// The kind of each byte of ASCII: what expressions mostly tell apart.
const ASCII: [u8; 128] = {
    let (mut kinds, mut own) = ([0; 128], 7);
    let mut byte = 0;
    while byte < 128 {
        kinds[byte] = match byte as u8 {
            b'0' => 1,
            b'1'..=b'9' => 2,
            b'a'..=b'f' => 3,
            b'g'..=b'z' => 4,
            b'A'..=b'F' => 5,
            b'G'..=b'Z' => 6,
            b'\t' | b'\n' | b'\r' | b' '..=b'~' => {
                own += 1;
                own
            }
            _ => 7, // control characters
        };
        byte += 1;
    }
    assert!(own < WIDE);
    kinds
};

/// The kind of a byte of a whole character.
pub(super) fn of_byte(byte: u8) -> Kinds {
    1 << ASCII.get(usize::from(byte)).copied().unwrap_or(WIDE)
}

/// Writes for each byte of a token, in `nodes`, the kinds of what follows it; within a character, of
/// what follows with that character. Returns the kinds of all of the token.
pub(super) fn of_nodes(token: &[u8], nodes: &mut Vec<Kinds>) -> Kinds {
    nodes.clear();
    nodes.resize(token.len(), 0);
    let (mut follows, mut end) = (0, token.len());
    while end > 0 {
        let is_first = |byte: u8| !(0x80..0xC0).contains(&byte);
        let begin = (end.saturating_sub(4)..end).rev().find(|&at| is_first(token[at]));
        let begin = begin.unwrap_or(end - 1);
        let character = std::str::from_utf8(&token[begin..end]);
        let is_whole = character.is_ok_and(|text| text.chars().count() == 1);
        let with_it = follows | if is_whole { of_byte(token[begin]) } else { 1 << BROKEN };
        nodes[begin..end].fill(with_it);
        if is_whole {
            nodes[end - 1] = follows;
        }
        (follows, end) = (with_it, begin);
    }
    follows
}

/// Kinds of which not every character leads to one state.
pub(super) const MIXED: u32 = u32::MAX;

/// The one state to which every character of a kind leads; [`MIXED`] if there is none.
pub(super) fn targets(automaton: &ByteAutomaton, state: u32) -> [u32; KINDS] {
    let mut targets = [MIXED; KINDS];
    let mut seen = [false; KINDS];
    for (byte, kind) in (0..).zip(ASCII.map(usize::from)) {
        let target = automaton.step(state, byte);
        if !seen[kind] {
            (seen[kind], targets[kind]) = (true, target);
        } else if targets[kind] != target {
            targets[kind] = MIXED;
        }
    }
    targets[usize::from(WIDE)] = target_of_wide(automaton, state).unwrap_or(MIXED);
    targets
}

/// The one state to which every whole character beyond ASCII leads. There may be one that is not seen,
/// where two bytes lead to different states that do the same.
fn target_of_wide(automaton: &ByteAutomaton, state: u32) -> Option<u32> {
    // How characters of two, three and four bytes begin, where that decides what may follow: the first
    // bytes, the second ones, and how many more.
    const BEGINNINGS: [(u8, u8, u8, u8, u32); 8] = [
        (0xC2, 0xDF, 0x80, 0xBF, 0),
        (0xE0, 0xE0, 0xA0, 0xBF, 1),
        (0xE1, 0xEC, 0x80, 0xBF, 1),
        (0xED, 0xED, 0x80, 0x9F, 1),
        (0xEE, 0xEF, 0x80, 0xBF, 1),
        (0xF0, 0xF0, 0x90, 0xBF, 2),
        (0xF1, 0xF3, 0x80, 0xBF, 2),
        (0xF4, 0xF4, 0x80, 0x8F, 2),
    ];
    // The one state behind a range of bytes.
    let one = |from: u32, first: u8, last: u8| {
        let target = automaton.step(from, first);
        (first..=last).all(|byte| automaton.step(from, byte) == target).then_some(target)
    };
    let mut found = None;
    for (lead, to, first, last, more) in BEGINNINGS {
        let mut at = one(one(state, lead, to)?, first, last)?;
        for _ in 0..more {
            at = one(at, 0x80, 0xBF)?;
        }
        if *found.get_or_insert(at) != at {
            return None;
        }
    }
    found
}

/// The kinds of which every character leads to one state.
pub(super) fn leading_to(targets: &[u32; KINDS], state: u32) -> Kinds {
    let kinds = (0u32..).zip(targets);
    kinds.filter(|(_, target)| **target == state).fold(0, |all, (kind, _)| all | 1 << kind)
}

/// The kinds of a set, one by one.
pub(super) fn each(mut kinds: Kinds) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let kind = kinds.trailing_zeros();
        kinds &= kinds.wrapping_sub(1);
        (kind < Kinds::BITS).then_some(kind as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::super::bytes::DEAD;
    use super::*;
    use sortes_core::Run;

    #[test]
    fn nodes_know_what_follows() {
        let (digit, letter, wide, broken) = (1 << 2, 1 << 3, 1 << WIDE, 1 << BROKEN);
        let check = |token: &[u8], all: Kinds, expected: &[Kinds]| {
            let mut nodes = Vec::new();
            assert_eq!(of_nodes(token, &mut nodes), all, "{token:?}");
            assert_eq!(nodes, expected, "{token:?}");
        };
        check("a1é".as_bytes(), letter | digit | wide, &[digit | wide, wide, wide, 0]);
        check("€1".as_bytes(), digit | wide, &[digit | wide, digit | wide, digit, 0]);
        check(b"\xA9a", letter | broken, &[letter | broken, 0]);
        check(b"a\xF0\x9F", letter | broken, &[broken, broken, broken]);
        check(b"\xC3\xC3\xA9", wide | broken, &[wide | broken, wide, 0]);
        check(b"\x80\x80\x80\x80\x80", broken, &[broken; 5]);
    }

    #[test]
    fn kinds_lead_to_one_state_or_to_several() {
        let state_of = |automaton: &ByteAutomaton, text: &str| {
            automaton.steps(super::super::bytes::START, text.as_bytes())
        };
        let loops = |pattern: &str, text: &str| {
            let automaton = ByteAutomaton::new(pattern, Run::alone()).unwrap();
            let state = state_of(&automaton, text);
            leading_to(&targets(&automaton, state), state)
        };
        let kind = |c: char| of_byte(c as u8);
        let ascii = (0..128).fold(0, |all, byte| all | of_byte(byte));
        let string = loops(r#""[^"\n]*""#, "\"");
        assert_eq!(string, (ascii | 1 << WIDE) & !kind('"') & !kind('\n'));
        assert_eq!(loops(r"(?s).*", ""), ascii | 1 << WIDE);
        assert_eq!(loops(r"(?s).*x", ""), (ascii | 1 << WIDE) & !kind('x'));
        assert_eq!(loops("[0-9]*", "7"), kind('0') | kind('1'));
        assert_eq!(loops("[a-z0]*-", ""), kind('a') | kind('z') | kind('0'));
        assert_eq!(loops("[^aé]*", ""), ascii & !kind('a'));
        assert_eq!(loops("abc", "a"), 0);

        let automaton = ByteAutomaton::new("[a-z]{2}[0-9]", Run::alone()).unwrap();
        let found = targets(&automaton, state_of(&automaton, "b"));
        assert_eq!(leading_to(&found, state_of(&automaton, "bc")), kind('a') | kind('z'));
        assert_eq!(found[usize::from(WIDE)], DEAD);
        let automaton = ByteAutomaton::new("[a-m]*", Run::alone()).unwrap();
        assert_eq!(targets(&automaton, state_of(&automaton, ""))[4], MIXED);
    }

    #[test]
    fn sets_are_walked_through() {
        assert_eq!(each(0b1001 | 1 << 63).collect::<Vec<_>>(), [0, 3, 63]);
        assert_eq!(each(0).count(), 0);
    }
}
