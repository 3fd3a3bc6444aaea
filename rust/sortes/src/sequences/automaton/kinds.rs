//! Kinds of characters: what 64 bits say of the bytes of a token.
//!
//! Where every character of some kinds leads from a state back to it, a token of such characters alone
//! does so too, and nobody needs to read its bytes.

use super::bytes::{ByteAutomaton, DEAD};

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

/// Writes for each place of a token, and for its end, the kinds of what follows.
pub(super) fn of_suffixes(token: &[u8], out: &mut Vec<Kinds>) {
    out.clear();
    out.resize(token.len() + 1, 0);
    for at in (0..token.len()).rev() {
        let len = match token[at] {
            0x00..0x80 => 1,
            0x80..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        let whole = token.get(at..at + len).is_some_and(|c| std::str::from_utf8(c).is_ok());
        out[at] = if whole { of_byte(token[at]) | out[at + len] } else { 1 << BROKEN };
    }
}

/// The kinds of which every character leads from a state back to it.
pub(super) fn loops(automaton: &ByteAutomaton, state: u32) -> Kinds {
    let mut stays = Kinds::MAX;
    for (byte, kind) in (0..).zip(ASCII) {
        if automaton.step(state, byte) != state {
            stays &= !(1 << kind);
        }
    }
    // Kinds of no character at all lead nowhere.
    stays &= ASCII_KINDS;
    if stays != 0 && stays_in_wide(automaton, state) { stays | 1 << WIDE } else { stays }
}

const ASCII_KINDS: Kinds = {
    let (mut all, mut byte) = (0, 0);
    while byte < 128 {
        all |= 1 << ASCII[byte];
        byte += 1;
    }
    all
};

/// Whether every whole character beyond ASCII leads from a state back to it. A "no" may be wrong: where
/// two bytes lead to different states that do the same.
fn stays_in_wide(automaton: &ByteAutomaton, state: u32) -> bool {
    // The one state behind a range of bytes.
    let one = |from: u32, first: u8, last: u8| {
        let target = automaton.step(from, first);
        let all = target != DEAD && (first..=last).all(|byte| automaton.step(from, byte) == target);
        all.then_some(target)
    };
    // How characters of two, three and four bytes begin, where that decides what may follow.
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
    BEGINNINGS.iter().all(|&(lead, to, first, last, more)| {
        let mut at = one(state, lead, to).and_then(|target| one(target, first, last));
        for _ in 0..more {
            at = at.and_then(|target| one(target, 0x80, 0xBF));
        }
        at == Some(state)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortes_core::Run;

    #[test]
    fn suffixes_are_of_whole_characters_or_broken() {
        let (digit, letter, wide, broken) = (1 << 2, 1 << 3, 1 << WIDE, 1 << BROKEN);
        let mut kinds = Vec::new();
        of_suffixes("a1é".as_bytes(), &mut kinds);
        assert_eq!(kinds, [letter | digit | wide, digit | wide, wide, broken, 0]);
        of_suffixes(b"\xA9a", &mut kinds);
        assert_eq!(kinds, [broken, letter, 0]);
        of_suffixes(b"a\xF0\x9F", &mut kinds);
        assert_eq!(kinds, [letter | broken, broken, broken, 0]);
    }

    #[test]
    fn loops_are_what_stays() {
        let loops_of = |pattern: &str, text: &str| {
            let automaton = ByteAutomaton::new(pattern, Run::alone()).unwrap();
            let state = automaton.steps(super::super::bytes::START, text.as_bytes());
            loops(&automaton, state)
        };
        let kind = |c: char| of_byte(c as u8);
        let string = loops_of(r#""[^"\n]*""#, "\"");
        assert_eq!(string, (ASCII_KINDS | 1 << WIDE) & !kind('"') & !kind('\n'));
        assert_eq!(loops_of(r"(?s).*", ""), ASCII_KINDS | 1 << WIDE);
        assert_eq!(loops_of(r"(?s).*x", ""), (ASCII_KINDS | 1 << WIDE) & !kind('x'));
        assert_eq!(loops_of("[0-9]*", "7"), kind('0') | kind('1'));
        assert_eq!(loops_of("[a-z0]*-", ""), kind('a') | kind('z') | kind('0'));
        assert_eq!(loops_of("[^aé]*", ""), ASCII_KINDS & !kind('a'));
        assert_eq!(loops_of("abc", "a"), 0);
    }
}
