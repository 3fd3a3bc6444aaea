//! A sketch of any kind.

use sortes_core::cancel::Cancel;
use sortes_core::par::Threads;
use sortes_core::{Error, Result};

use super::header::Header;
use super::ranked::other_kind;
use super::{Batch, BottomK, PrioritySample, Sample, VarOpt};
use sortes_core::bytes::{Kind, Reader, corrupt};

/// One of the sketches.
#[derive(Clone, Debug)]
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

impl Sketch {
    /// Takes a batch in, on several threads where the kind allows it.
    ///
    /// # Errors
    /// As the kinds' own functions.
    pub fn update(
        &mut self,
        batch: &Batch<'_>,
        threads: Threads<'_>,
        cancel: &Cancel,
    ) -> Result<()> {
        match self {
            Self::BottomK(sketch) => sketch.update(batch, threads, cancel),
            Self::Priority(sketch) => sketch.update(batch, threads, cancel),
            Self::VarOpt(sketch) => sketch.update(batch, cancel),
        }
    }

    /// Takes in what another sketch has seen.
    ///
    /// # Errors
    /// As the kinds' own functions, and if the kinds differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        match (self, other) {
            (Self::BottomK(ours), Self::BottomK(theirs)) => ours.merge(theirs),
            (Self::Priority(ours), Self::Priority(theirs)) => ours.merge(theirs),
            (Self::VarOpt(ours), Self::VarOpt(theirs)) => ours.merge(theirs),
            _ => Err(other_kind()),
        }
    }

    /// An empty sketch like this one, for another shard of the data.
    ///
    /// # Errors
    /// If the shard is not below `2^48`.
    pub fn for_shard(&self, shard: u64) -> Result<Self> {
        Ok(match self {
            Self::BottomK(sketch) => Self::BottomK(sketch.for_shard(shard)?),
            Self::Priority(sketch) => Self::Priority(sketch.for_shard(shard)?),
            Self::VarOpt(sketch) => Self::VarOpt(sketch.for_shard(shard)?),
        })
    }

    /// The sample and the threshold.
    pub fn sample(&self) -> (Sample, f64) {
        each!(self, sketch => sketch.sample())
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
    pub fn total(&self) -> Option<f64> {
        if let Self::VarOpt(sketch) = self { Some(sketch.total()) } else { None }
    }

    /// The state as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        each!(self, sketch => sketch.to_bytes())
    }

    /// The sketch of these bytes.
    ///
    /// # Errors
    /// If no sketch has these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (kind, reader) = Reader::new(bytes)?;
        match kind {
            Kind::BottomK => BottomK::read(reader).map(Self::BottomK),
            Kind::PrioritySample => PrioritySample::read(reader).map(Self::Priority),
            Kind::VarOpt => VarOpt::read(reader).map(Self::VarOpt),
            _ => Err(corrupt("its kind")),
        }
    }

    /// The name of the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BottomK(_) => "bottom_k",
            Self::Priority(_) => "priority",
            Self::VarOpt(_) => "var_opt",
        }
    }

    /// An empty sketch of the kind with this name.
    ///
    /// # Errors
    /// If there is no such kind, or `k` or the shard is out of range.
    pub fn new(kind: &str, k: u64, seed: u64, shard: Option<u64>) -> Result<Self> {
        Ok(match (kind, shard) {
            ("bottom_k", None) => Self::BottomK(BottomK::coordinated(k, seed)?),
            ("bottom_k", Some(shard)) => Self::BottomK(BottomK::fresh(k, seed, shard)?),
            ("priority", None) => Self::Priority(PrioritySample::coordinated(k, seed)?),
            ("priority", Some(shard)) => Self::Priority(PrioritySample::fresh(k, seed, shard)?),
            ("var_opt", Some(shard)) => Self::VarOpt(VarOpt::new(k, seed, shard)?),
            ("var_opt", None) => {
                return Err(Error::argument("shard", "a VarOpt sketch needs one"));
            }
            _ => return Err(Error::argument("kind", format!("unknown: {kind:?}"))),
        })
    }
}
