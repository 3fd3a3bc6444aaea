//! A sketch of any kind.

use sortes_core::bytes::{Kind, Reader, corrupt};
use sortes_core::rng::Stream;
use sortes_core::{Error, Result, Run};

use super::header::Header;
use super::{Batch, BottomK, PrioritySample, Sample, VarOpt};

/// One of the sketches.
#[derive(Debug)]
pub enum Sketch {
    /// A bottom-k sample.
    BottomK(BottomK),
    /// A priority sample.
    Priority(PrioritySample),
    /// A variance-optimal sample.
    VarOpt(VarOpt),
}

macro_rules! each {
    ($self:expr, $sketch:ident => $body:expr) => {
        match $self {
            Sketch::BottomK($sketch) => $body,
            Sketch::Priority($sketch) => $body,
            Sketch::VarOpt($sketch) => $body,
        }
    };
}

/// As [`each`], for what is a sketch of the same kind again.
macro_rules! same {
    ($self:expr, $sketch:ident => $body:expr) => {
        match $self {
            Sketch::BottomK($sketch) => $body.map(Sketch::BottomK),
            Sketch::Priority($sketch) => $body.map(Sketch::Priority),
            Sketch::VarOpt($sketch) => $body.map(Sketch::VarOpt),
        }
    };
}

impl Sketch {
    /// An empty sketch of a kind: of a shard, or coordinated where there is none.
    ///
    /// # Errors
    /// If there is no such sketch, or `k` or the shard is out of range.
    pub fn new(kind: Kind, k: u64, stream: Stream, shard: Option<u64>) -> Result<Self> {
        Ok(match (kind, shard) {
            (Kind::BottomK, None) => Self::BottomK(BottomK::coordinated(k, stream)?),
            (Kind::BottomK, Some(shard)) => Self::BottomK(BottomK::fresh(k, stream, shard)?),
            (Kind::PrioritySample, None) => Self::Priority(PrioritySample::coordinated(k, stream)?),
            (Kind::PrioritySample, Some(shard)) => {
                Self::Priority(PrioritySample::fresh(k, stream, shard)?)
            }
            (Kind::VarOpt, Some(shard)) => Self::VarOpt(VarOpt::new(k, stream, shard)?),
            (Kind::VarOpt, None) => {
                return Err(Error::argument("shard", "must be given for a VarOpt sketch"));
            }
            _ => return Err(Error::argument("kind", "must be that of a sketch")),
        })
    }

    /// Takes a batch in, on several threads where the kind allows it. Progress counts items.
    ///
    /// # Errors
    /// As the kinds' own functions.
    pub fn update(&mut self, batch: &Batch<'_>, run: Run<'_>) -> Result<()> {
        each!(self, sketch => sketch.update(batch, run))
    }

    /// Takes in what another sketch has seen.
    ///
    /// # Errors
    /// As the kinds' own functions, and if the kinds differ.
    pub fn merge(&mut self, other: &Self, run: Run<'_>) -> Result<()> {
        match (self, other) {
            (Self::BottomK(ours), Self::BottomK(theirs)) => ours.merge(theirs, run),
            (Self::Priority(ours), Self::Priority(theirs)) => ours.merge(theirs, run),
            (Self::VarOpt(ours), Self::VarOpt(theirs)) => ours.merge(theirs, run),
            _ => Err(Error::argument("other", "must be a sketch of the same kind")),
        }
    }

    /// An empty sketch like this one, for another shard of the data.
    ///
    /// # Errors
    /// If the shard is not below `2^48`.
    pub fn for_shard(&self, shard: u64) -> Result<Self> {
        same!(self, sketch => sketch.for_shard(shard))
    }

    /// A copy of the sketch.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub fn copied(&self, run: Run<'_>) -> Result<Self> {
        same!(self, sketch => sketch.copied(run))
    }

    /// The sample and the threshold.
    ///
    /// # Errors
    /// If there is no memory for it, or the work is cancelled.
    pub fn sample(&self, run: Run<'_>) -> Result<(Sample, f64)> {
        each!(self, sketch => sketch.sample(run))
    }

    /// What all sketches know of themselves.
    pub fn header(&self) -> &Header {
        each!(self, sketch => sketch.header())
    }

    /// The number of items in the sample.
    pub fn len(&self) -> usize {
        each!(self, sketch => sketch.len())
    }

    /// Whether the sample is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum of all weights, where the kind knows it.
    ///
    /// # Errors
    /// If there is no memory, or the work is cancelled.
    pub fn total(&self, run: Run<'_>) -> Result<Option<f64>> {
        if let Self::VarOpt(sketch) = self { sketch.total(run).map(Some) } else { Ok(None) }
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// If there is no memory for them, or the work is cancelled.
    pub fn to_bytes(&self, run: Run<'_>) -> Result<Vec<u8>> {
        each!(self, sketch => sketch.to_bytes(run))
    }

    /// The sketch of these bytes.
    ///
    /// # Errors
    /// If no sketch has these bytes, there is no memory for it, or the work is cancelled.
    pub fn from_bytes(bytes: &[u8], run: Run<'_>) -> Result<Self> {
        let (kind, reader) = Reader::new(bytes, run)?;
        match kind {
            Kind::BottomK => BottomK::read(reader, run).map(Self::BottomK),
            Kind::PrioritySample => PrioritySample::read(reader, run).map(Self::Priority),
            Kind::VarOpt => VarOpt::read(reader, run).map(Self::VarOpt),
            _ => Err(corrupt("its kind")),
        }
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::BottomK(_) => Kind::BottomK,
            Self::Priority(_) => Kind::PrioritySample,
            Self::VarOpt(_) => Kind::VarOpt,
        }
    }
}
