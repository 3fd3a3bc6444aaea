//! The codes of several prompts, and the step that takes one token of each.

use super::codebook::{Codebook, LARGEST, orders, prompt};
use super::digits::Digits;
use super::register::{Ends, Register};
use crate::decode::{Call, Chooser, Element, Rows, TokenOrder};
use sortes_core::bytes::{Kind, Reader, Writer, corrupt};
use sortes_core::memory::{copied, with_capacity, zeroed};
use sortes_core::permutation::Permutation;
use sortes_core::rng::Stream;
use sortes_core::{Error, Result, Run};

/// What the codes are, in errors.
const CODES: &str = "codes";
/// Codes between two polls.
const BLOCK: usize = 1 << 12;

/// The order in which the vocabulary divides a range, at every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By id.
    Id,
    /// The most likely first, the lowest id among equals.
    Probability,
    /// At random, the same for all codes of a step.
    Random,
}

impl Order {
    const ALL: [Self; 3] = [Self::Id, Self::Probability, Self::Random];
}

/// A code, as far as it has been read.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Code {
    register: Register,
    digits: Digits,
}

/// `n` codes for each of several prompts, row by row: row `p * n + i` is code `i` of prompt `p`.
///
/// A prompt has a stream of its own, named by its id: its codes depend on nothing else.
#[derive(Debug, PartialEq)]
pub struct ArithmeticCodes {
    stream: Stream,
    codebook: Codebook,
    order: Order,
    n: u64,
    /// The keys of the prompts' streams.
    prompts: Vec<u64>,
    codes: Vec<Code>,
    /// How many steps were taken.
    steps: u32,
    /// The size of the vocabulary; zero before the first step.
    vocabulary: usize,
}

impl ArithmeticCodes {
    /// `n` codes for each of `prompts` prompts, whose ids are `ids`, or 0, 1, ... without them.
    ///
    /// # Errors
    /// If there are too many codes, or no memory for them, or the work is cancelled.
    pub fn new(
        (prompts, ids): (usize, Option<&[u32]>),
        n: u64,
        codebook: Codebook,
        order: Order,
        stream: Stream,
        run: Run<'_>,
    ) -> Result<Self> {
        Self::begin((prompts, ids), n, codebook, order, stream, run, |prompt, first, i, _| {
            codebook.start(prompt, n, first, i)
        })
    }

    /// The same with codes that are given, for each prompt or the same for all.
    ///
    /// # Errors
    /// If a code is outside `[0, 1)`, their number does not fit, or as [`new`](Self::new).
    pub fn given(
        (prompts, ids): (usize, Option<&[u32]>),
        n: u64,
        given: &[f64],
        order: Order,
        stream: Stream,
        run: Run<'_>,
    ) -> Result<Self> {
        if let Some((item, code)) =
            given.iter().enumerate().find(|(_, code)| !(0.0..1.0).contains(*code))
        {
            return Err(Error::item(CODES, item, "[0, 1)", sortes_core::error::shown(*code)));
        }
        let codebook = Codebook::Explicit;
        Self::begin((prompts, ids), n, codebook, order, stream, run, |prompt, _, i, row| {
            Codebook::given(given[row % given.len()], prompt, i)
        })
    }

    fn begin(
        (prompts, ids): (usize, Option<&[u32]>),
        n: u64,
        codebook: Codebook,
        order: Order,
        stream: Stream,
        run: Run<'_>,
        start: impl Fn(Stream, u64, u64, usize) -> (Register, Digits),
    ) -> Result<Self> {
        let rows = prompts.saturating_mul(usize::try_from(n).unwrap_or(usize::MAX));
        let mut keys = with_capacity(prompts, "prompts")?;
        let mut codes = with_capacity(rows, CODES)?;
        for index in 0..prompts {
            let id = ids.map_or(index as u64, |ids| ids[index].into());
            let prompt = prompt(stream, id);
            keys.push(prompt.key());
            let first = codebook.first(prompt, n);
            for i in 0..n {
                if codes.len() % BLOCK == 0 {
                    run.check()?;
                }
                let (register, digits) = start(prompt, first, i, codes.len());
                codes.push(Code { register, digits });
            }
        }
        Ok(Self { stream, codebook, order, n, prompts: keys, codes, steps: 0, vocabulary: 0 })
    }

    /// How many codes there are in all: rows of logits.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// How many codes a prompt has.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// How they were spread.
    pub fn codebook(&self) -> Codebook {
        self.codebook
    }

    /// The order of the vocabulary.
    pub fn order(&self) -> Order {
        self.order
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The codes within their texts so far, as numbers.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub fn codes(&self, run: Run<'_>) -> Result<Vec<f64>> {
        self.each(run, |code| code.register.code())
    }

    /// For each code the least share of the mass whose end lies beyond it, if the next logits have
    /// this shape.
    ///
    /// # Errors
    /// If they do not fit, or there is no memory.
    pub fn thresholds(&self, rows: usize, vocabulary: usize, run: Run<'_>) -> Result<Vec<f64>> {
        self.next(rows, vocabulary)?;
        self.each(run, |code| code.register.threshold())
    }

    fn each(&self, run: Run<'_>, f: impl Fn(&Code) -> f64) -> Result<Vec<f64>> {
        let mut out = with_capacity(self.codes.len(), CODES)?;
        for range in run.blocks(self.codes.len(), BLOCK) {
            out.extend(self.codes[range?].iter().map(&f));
        }
        Ok(out)
    }

    /// The order of a vocabulary of this size at the next step, where it is random.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn arrangement(&self, vocabulary: usize, run: Run<'_>) -> Result<Vec<i64>> {
        let mut ids = with_capacity(vocabulary, "ids")?;
        let n = vocabulary as u64;
        Permutation::new(n, orders(self.stream), self.steps).extend(0..n, &mut ids, run)?;
        Ok(ids)
    }

    /// The stream of each row at the next step, for rules that act at random: they do so on all
    /// codes of a prompt or on none.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn streams(&self, run: Run<'_>) -> Result<Vec<Stream>> {
        let mut streams = with_capacity(self.codes.len(), "streams")?;
        for range in run.blocks(self.codes.len(), BLOCK) {
            streams.extend(range?.map(|row| self.prompt(row).at_step(self.steps)));
        }
        Ok(streams)
    }

    /// The stream of the prompt of a row.
    fn prompt(&self, row: usize) -> Stream {
        Stream::new(self.prompts[row / self.n as usize])
    }

    /// The words of the code of a row.
    fn words(&self, row: usize) -> impl FnMut(u64) -> u32 + Send + use<> {
        self.codebook.words(self.prompt(row), row as u64 % self.n)
    }

    /// Takes one token of each row of logits, from the law that the call leaves; its streams do not
    /// matter. Rows that are finished keep their code and get the token `pad` of probability one.
    ///
    /// # Errors
    /// As [`Call::sample`], and for logits that do not fit the codes or the steps before. Nothing has
    /// changed then.
    #[allow(clippy::too_many_arguments)]
    pub fn step<T: Element>(
        &mut self,
        call: &Call<'_>,
        logits: &impl Rows<T>,
        finished: Option<&[bool]>,
        pad: i64,
        tokens: &mut [i64],
        ln_p: Option<&mut [f64]>,
        run: Run<'_>,
    ) -> Result<()> {
        let next = self.next(logits.rows(), logits.cols())?;
        // 1. A decoder for each row, on a copy of its code.
        let mut decoders = with_capacity(self.codes.len(), CODES)?;
        for range in run.blocks(self.codes.len(), BLOCK) {
            decoders.extend(range?.map(|row| Decoder {
                code: self.codes[row],
                divisor: self.codebook.divisor(self.n),
                words: self.words(row),
                token: pad,
                ln_p: 0.0,
                is_done: finished.is_some_and(|finished| finished[row]),
            }));
        }

        // 2. The tokens. Chance in the rules is that of the prompt.
        let ids;
        let order = match self.order {
            Order::Id => TokenOrder::Id,
            Order::Probability => TokenOrder::Probability,
            Order::Random => {
                ids = self.arrangement(logits.cols(), run)?;
                TokenOrder::Given(&ids)
            }
        };
        let (streams, rows) = (self.streams(run)?, zeroed(self.codes.len(), "rows")?);
        let call = Call { streams: &streams, rows: Some(&rows), ..*call };
        call.choose(logits, order, &mut decoders, run)?;

        // 3. All rows had a token: the codes move on.
        for (code, decoder) in self.codes.iter_mut().zip(&decoders) {
            *code = decoder.code;
        }
        for (token, decoder) in tokens.iter_mut().zip(&decoders) {
            *token = decoder.token;
        }
        for (ln_p, decoder) in ln_p.into_iter().flatten().zip(&decoders) {
            *ln_p = decoder.ln_p;
        }
        (self.steps, self.vocabulary) = (next, logits.cols());
        Ok(())
    }

    /// The same where the tokens were found elsewhere by the [`thresholds`](Self::thresholds): each
    /// row's part of the mass goes from the share `low` to the share `high`.
    ///
    /// # Errors
    /// If the codes have moved on since, the vocabulary does not fit, there is no memory for a copy of
    /// the codes, or the work is cancelled; nothing has changed then.
    pub fn narrow(
        &mut self,
        (low, high): (&[f64], &[f64]),
        thresholds: &[f64],
        finished: Option<&[bool]>,
        vocabulary: usize,
        run: Run<'_>,
    ) -> Result<()> {
        let next = self.next(low.len(), vocabulary)?;
        let mut codes = copied(&self.codes, CODES, run)?;
        for range in run.blocks(codes.len(), BLOCK) {
            for row in range? {
                let code = &mut codes[row];
                if thresholds.get(row) != Some(&code.register.threshold()) {
                    return Err(Error::argument(
                        CODES,
                        "another thread has taken a step meanwhile",
                    ));
                }
                if finished.is_none_or(|finished| !finished[row]) {
                    let divisor = self.codebook.divisor(self.n);
                    code.narrow([low[row], high[row]], divisor, &mut self.words(row));
                }
            }
        }
        self.codes = codes;
        (self.steps, self.vocabulary) = (next, vocabulary);
        Ok(())
    }

    /// Checks that logits of this shape fit; returns the number of the step.
    fn next(&self, rows: usize, vocabulary: usize) -> Result<u32> {
        if rows != self.codes.len() {
            let reason = format!("has {rows} rows for {} codes", self.codes.len());
            return Err(Error::argument("logits", reason));
        }
        if self.vocabulary != 0 && vocabulary != self.vocabulary {
            let before = self.vocabulary;
            let reason = format!("has {vocabulary} columns, but the step before had {before}");
            return Err(Error::argument("logits", reason));
        }
        let next = self.steps.checked_add(1);
        next.ok_or_else(|| Error::argument("logits", "comes after the last of 2**32 steps"))
    }

    /// A copy.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub fn copied(&self, run: Run<'_>) -> Result<Self> {
        Ok(Self {
            prompts: copied(&self.prompts, "prompts", run)?,
            codes: copied(&self.codes, CODES, run)?,
            ..*self
        })
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        let words = 8 + self.prompts.len() + 4 * self.codes.len();
        let mut to = Writer::with_capacity(Kind::ArithmeticCodes, words)?;
        to.word(self.stream.key());
        to.word(self.stream.step().into());
        to.word(self.codebook as u64);
        to.word(self.order as u64);
        to.word(self.n);
        to.word(self.steps.into());
        to.word(self.vocabulary as u64);
        to.word(self.prompts.len() as u64);
        to.words(self.prompts.iter().copied(), run)?;
        for part in 0..2 {
            to.words(self.codes.iter().map(|code| code.register.parts()[part]), run)?;
        }
        for part in 0..2 {
            to.words(self.codes.iter().map(|code| code.digits.parts()[part]), run)?;
        }
        Ok(to.finish())
    }

    /// The codes of these bytes.
    ///
    /// # Errors
    /// If no codes have these bytes, there is no memory for them, or the work is cancelled.
    pub fn from_bytes(bytes: &[u8], run: Run<'_>) -> Result<Self> {
        // 1. The fields.
        let mut from = Reader::of(bytes, Kind::ArithmeticCodes, run)?;
        let key = from.word()?;
        let step = u32::try_from(from.word()?).map_err(|_| corrupt("its step"))?;
        let codebook = usize::try_from(from.word()?).ok();
        let codebook = codebook.and_then(|i| Codebook::ALL.get(i).copied());
        let codebook = codebook.ok_or_else(|| corrupt("its codebook"))?;
        let order = usize::try_from(from.word()?).ok();
        let order = order.and_then(|i| Order::ALL.get(i).copied());
        let order = order.ok_or_else(|| corrupt("its order"))?;
        let n = from.word()?;
        let steps = u32::try_from(from.word()?).map_err(|_| corrupt("its steps"))?;
        let vocabulary = usize::try_from(from.word()?).map_err(|_| corrupt("its vocabulary"))?;
        let count = from.length()?;
        let prompts = from.column(count, "prompts", run, |key| key)?;
        let rows = from.remaining() / 4;
        let mut columns = [0; 4].map(|_| Vec::new());
        for column in &mut columns {
            *column = from.column(rows, CODES, run, |word| word)?;
        }
        from.finish()?;

        // 2. Whether codes have them.
        if !(1..=LARGEST).contains(&n) || n.checked_mul(count as u64) != Some(rows as u64) {
            return Err(corrupt("its counts"));
        }
        let mut codes = with_capacity(rows, CODES)?;
        for range in run.blocks(rows, BLOCK) {
            for row in range? {
                let [x, range, remainder, position] = [0, 1, 2, 3].map(|c: usize| columns[c][row]);
                let register = Register::of(x, range).ok_or_else(|| corrupt("its codes"))?;
                if remainder >= codebook.divisor(n) || position < Register::START.into() {
                    return Err(corrupt("its digits"));
                }
                codes.push(Code { register, digits: Digits::at(remainder, position) });
            }
        }
        let stream = Stream::new(key).at_step(step);
        Ok(Self { stream, codebook, order, n, prompts, codes, steps, vocabulary })
    }
}

impl Code {
    /// Keeps the part between these ends.
    fn narrow(&mut self, ends: Ends, divisor: u64, words: &mut impl FnMut(u64) -> u32) {
        self.register.narrow(ends);
        self.register.refill(|bits| self.digits.take(bits, divisor, words));
    }
}

/// What decodes a code by one token.
struct Decoder<W> {
    code: Code,
    divisor: u64,
    words: W,
    token: i64,
    ln_p: f64,
    is_done: bool,
}

impl<W: FnMut(u64) -> u32 + Send> Chooser for Decoder<W> {
    fn is_done(&self) -> bool {
        self.is_done
    }

    fn choose(&mut self, masses: impl Iterator<Item = f64> + Clone) -> Option<usize> {
        let (index, ends) = self.code.register.find(masses)?;
        self.code.narrow(ends, self.divisor, &mut self.words);
        Some(index)
    }

    fn take(&mut self, token: u32, ln_p: f64) {
        (self.token, self.ln_p) = (token.into(), ln_p);
    }
}
