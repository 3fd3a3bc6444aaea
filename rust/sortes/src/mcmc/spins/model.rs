//! Ising and Potts models: couplings, fields, colours, energies.

use sortes_core::error::shown;
use sortes_core::memory::{filled, with_capacity, zeroed};
use sortes_core::{Error, Result, Run};

use super::sampler::Measured;

/// Edges between two looks at the stop request.
const BLOCK: usize = 1 << 16;
/// The most sites: their indices are words.
pub const MOST_SITES: usize = u32::MAX as usize;

/// What states mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// States 0 and 1 are spins -1 and +1; an edge has the energy `-J s_i s_j`.
    Ising,
    /// So many states; an edge has the energy `-J` if its ends agree.
    Potts(usize),
}

impl Kind {
    /// How many states a site has.
    pub fn states(self) -> usize {
        match self {
            Self::Ising => 2,
            Self::Potts(states) => states,
        }
    }

    /// How many fields a site has.
    pub fn fields(self) -> usize {
        match self {
            Self::Ising => 1,
            Self::Potts(states) => states,
        }
    }

    /// How far the mean is from none: of so many sites in each state.
    pub(super) fn magnetization(self, counts: &[u64]) -> f64 {
        let sites = counts.iter().sum::<u64>() as f64;
        match self {
            Self::Ising => 2.0 * counts[1] as f64 / sites - 1.0,
            Self::Potts(1) => 1.0,
            Self::Potts(states) => {
                let most = counts.iter().copied().max().unwrap_or(0) as f64;
                (states as f64 * most / sites - 1.0) / (states as f64 - 1.0)
            }
        }
    }
}

/// A spin model on a graph: the law of states is proportional to `exp(-beta E)`.
#[derive(Debug, Clone)]
pub struct Model {
    kind: Kind,
    sites: usize,
    /// Where the neighbours of each site start, and the end of the last.
    starts: Vec<usize>,
    neighbours: Vec<u32>,
    couplings: Vec<f64>,
    /// The fields of each site: one, or one for each state.
    fields: Vec<f64>,
    has_field: bool,
    beta: f64,
}

impl Model {
    /// Of pairs of sites with a coupling each. Those of one pair are added, and loops are left out.
    ///
    /// # Errors
    /// If a site is out of range, energies are beyond the range of numbers, there is no memory, or the
    /// work is cancelled.
    pub fn new(
        kind: Kind,
        sites: usize,
        edges: &[[i64; 2]],
        couplings: &[f64],
        fields: Vec<f64>,
        beta: f64,
        run: Run<'_>,
    ) -> Result<Self> {
        let all = couplings.iter().chain(&fields).map(|x| x.abs()).sum::<f64>();
        if !(2.0 * beta.abs() * all).is_finite() || !all.is_finite() {
            let reason =
                format!("times all couplings and fields must be finite, got {}", shown(beta));
            return Err(Error::argument("beta", reason));
        }
        let mut starts: Vec<usize> = zeroed(sites + 1, "sites")?;
        for block in run.blocks(edges.len(), BLOCK) {
            for e in block? {
                if let Some(&bad) = edges[e].iter().find(|&&i| !(0..sites as i64).contains(&i)) {
                    let reason = format!("must hold sites in [0, {sites}), got {bad}");
                    return Err(Error::row("edges", e, reason));
                }
                let [i, j] = edges[e].map(|i| i as usize);
                if i != j {
                    starts[i + 1] += 1;
                    starts[j + 1] += 1;
                }
            }
        }
        for i in 0..sites {
            starts[i + 1] += starts[i];
        }
        let mut arcs = filled(starts[sites], (0_u32, 0.0_f64), "neighbours")?;
        let mut next = with_capacity(sites, "sites")?;
        next.extend_from_slice(&starts[..sites]);
        for block in run.blocks(edges.len(), BLOCK) {
            for e in block? {
                let [i, j] = edges[e].map(|i| i as usize);
                if i != j {
                    for (from, to) in [(i, j), (j, i)] {
                        arcs[next[from]] = (to as u32, couplings[e]);
                        next[from] += 1;
                    }
                }
            }
        }
        // Rows ascend, and those of one pair are added in the order in which they came.
        let mut neighbours = with_capacity(arcs.len(), "neighbours")?;
        let mut values = with_capacity(arcs.len(), "couplings")?;
        let mut begin = 0;
        for block in run.blocks(sites, BLOCK) {
            for i in block? {
                let row = &mut arcs[begin..starts[i + 1]];
                begin = starts[i + 1];
                row.sort_by_key(|&(to, _)| to);
                let first = neighbours.len();
                for &(to, coupling) in &*row {
                    if neighbours.len() > first && neighbours.last() == Some(&to) {
                        let last = values.len() - 1;
                        values[last] += coupling;
                    } else {
                        neighbours.push(to);
                        values.push(coupling);
                    }
                }
                starts[i + 1] = neighbours.len();
            }
        }
        let has_field = fields.iter().any(|&h| h != 0.0);
        Ok(Self { kind, sites, starts, neighbours, couplings: values, fields, has_field, beta })
    }

    /// What states mean.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many sites there are.
    pub fn sites(&self) -> usize {
        self.sites
    }

    /// The inverse temperature.
    pub fn beta(&self) -> f64 {
        self.beta
    }

    /// Whether a field is not zero.
    pub fn has_field(&self) -> bool {
        self.has_field
    }

    /// How many neighbours all sites have together.
    pub fn arcs(&self) -> usize {
        self.neighbours.len()
    }

    /// Where the neighbours of a site are among all.
    #[inline]
    pub fn range(&self, site: usize) -> std::ops::Range<usize> {
        self.starts[site]..self.starts[site + 1]
    }

    /// The neighbours of a site, and their couplings.
    #[inline]
    pub fn around(&self, site: usize) -> (&[u32], &[f64]) {
        let range = self.range(site);
        (&self.neighbours[range.clone()], &self.couplings[range])
    }

    /// All couplings, site by site.
    pub(super) fn couplings(&self) -> &[f64] {
        &self.couplings
    }

    /// The fields of a site.
    #[inline]
    pub fn field(&self, site: usize) -> &[f64] {
        let fields = self.kind.fields();
        &self.fields[site * fields..(site + 1) * fields]
    }

    /// The energy of the states of all sites.
    pub fn energy(&self, states: &[u8]) -> f64 {
        let (mut bonds, mut fields) = (0.0, 0.0);
        for (i, &state) in states.iter().enumerate() {
            let (neighbours, couplings) = self.around(i);
            for (&j, &coupling) in neighbours.iter().zip(couplings) {
                if (j as usize) < i {
                    bonds += match self.kind {
                        Kind::Ising => signed(coupling, states[j as usize] ^ state ^ 1),
                        Kind::Potts(_) if states[j as usize] == state => coupling,
                        Kind::Potts(_) => 0.0,
                    };
                }
            }
            fields += match self.kind {
                Kind::Ising => signed(self.fields[i], state),
                Kind::Potts(_) => self.field(i)[usize::from(state)],
            };
        }
        -bonds - fields
    }

    /// What is measured of the states of all sites.
    pub fn measure(&self, states: &[u8]) -> Measured {
        let mut counts = [0; 256];
        for &state in states {
            counts[usize::from(state)] += 1;
        }
        Measured {
            energy: self.energy(states),
            magnetization: self.kind.magnetization(&counts[..self.kind.states()]),
        }
    }

    /// All sites, colour by colour, and where each colour begins: no neighbours share one. Within a colour,
    /// those with most neighbours come first.
    ///
    /// Greedy, sites with most neighbours first (Welsh and Powell, "An upper bound for the chromatic number
    /// of a graph and its application to timetabling problems", The Computer Journal 10, 1967).
    ///
    /// # Errors
    /// If there is no memory, or the work is cancelled.
    pub fn colours(&self, run: Run<'_>) -> Result<(Vec<u32>, Vec<usize>)> {
        let mut order = with_capacity(self.sites, "sites")?;
        order.extend(0..self.sites as u32);
        order.sort_by_key(|&i| std::cmp::Reverse(self.range(i as usize).len()));
        let mut colours = filled(self.sites, u32::MAX, "sites")?;
        let mut taken_by: Vec<u32> = Vec::new();
        let mut counts: Vec<usize> = Vec::new();
        for block in run.blocks(self.sites, BLOCK) {
            for &i in &order[block?] {
                for &j in self.around(i as usize).0 {
                    if let Some(taken) = taken_by.get_mut(colours[j as usize] as usize) {
                        *taken = i;
                    }
                }
                let free = taken_by.iter().position(|&by| by != i).unwrap_or(taken_by.len());
                if free == taken_by.len() {
                    // No site but itself can say that it has taken a colour.
                    taken_by.push(u32::MAX);
                    counts.push(0);
                }
                colours[i as usize] = free as u32;
                counts[free] += 1;
            }
        }
        let mut starts = with_capacity(counts.len() + 1, "colours")?;
        starts.push(0);
        for count in counts {
            starts.push(starts[starts.len() - 1] + count);
        }
        let mut next = starts.clone();
        let mut visits = filled(self.sites, 0, "sites")?;
        for &i in &order {
            let colour = colours[i as usize] as usize;
            visits[next[colour]] = i;
            next[colour] += 1;
        }
        Ok((visits, starts))
    }
}

/// `x` for state 1 and `-x` for state 0.
#[inline(always)]
pub(super) fn signed(x: f64, state: u8) -> f64 {
    x * [-1.0, 1.0][usize::from(state & 1)]
}
