//! A population of choices of levels, and how the next generation comes from the best of this one.
//!
//! A genome is which levels a run of `steps` steps visits between the first and the last, increasing,
//! and for each step one of some choices. Children have levels of two parents, of which as many as
//! needed are drawn; each step's choice is that of one of them. Then one level may move, or one
//! choice change.
//!
//! Li et al., "`AutoDiffusion`: training-free optimization of time steps and architectures for automated
//! diffusion model acceleration", ICCV 2023, arXiv:2309.10438.

use sortes_core::memory::with_capacity;
use sortes_core::rng::{Draws, Purpose, Rounds};
use sortes_core::{Result, Run};

/// What genomes are like, and how they change.
#[derive(Debug, Clone, Copy)]
pub struct Species {
    /// How many levels there are; the first and the last are always visited.
    pub levels: usize,
    /// How many steps a run has.
    pub steps: usize,
    /// How many choices a step has.
    pub choices: usize,
    /// How likely a child changes after it was put together.
    pub mutation: f64,
}

impl Species {
    /// The numbers of a genome: its inner levels, then the choice of each step.
    pub fn width(&self) -> usize {
        2 * self.steps - 1
    }
}

/// Children number `first` and following of a generation, one after the other, as many as fit into
/// `count`: of parents, or drawn uniformly where there are none.
///
/// # Errors
/// If there is no memory, or the work has been asked to stop.
///
/// # Panics
/// If a run would need more levels than there are, or parents are no whole number of genomes.
pub fn children(
    species: Species,
    parents: &[u32],
    (key, generation): (Rounds, u32),
    (first, count): (u64, usize),
    run: Run<'_>,
) -> Result<Vec<u32>> {
    let width = species.width();
    assert!(species.steps >= 1 && species.steps < species.levels, "levels for all steps");
    assert_eq!(parents.len() % width, 0, "whole genomes");
    let mut out = with_capacity(count.saturating_mul(width), "genomes")?;
    for i in 0..count {
        run.check()?;
        let mut draws = key.draws(Purpose::Evolve, first + i as u64, generation);
        if parents.is_empty() {
            out.extend(anything(species, &mut draws));
        } else {
            out.extend(child(species, parents, &mut draws));
        }
        run.advance(1);
    }
    Ok(out)
}

/// A genome, all equally likely.
fn anything(species: Species, draws: &mut Draws) -> Vec<u32> {
    let inner = species.levels as u32 - 2;
    let all: Vec<u32> = (1..=inner).collect();
    let mut genome = some_of(all, species.steps - 1, draws);
    genome.extend((0..species.steps).map(|_| draws.below(species.choices as u64) as u32));
    genome
}

/// `k` of different numbers, sorted; all subsets are equally likely.
fn some_of(mut from: Vec<u32>, k: usize, draws: &mut Draws) -> Vec<u32> {
    for i in 0..k {
        let j = i + draws.below((from.len() - i) as u64) as usize;
        from.swap(i, j);
    }
    from.truncate(k);
    from.sort_unstable();
    from
}

fn child(species: Species, parents: &[u32], draws: &mut Draws) -> Vec<u32> {
    let (width, cut) = (species.width(), species.steps - 1);
    let many = (parents.len() / width) as u64;
    let mut parent = || {
        let at = draws.below(many) as usize;
        &parents[at * width..(at + 1) * width]
    };
    let (one, other) = (parent(), parent());
    let mut union = [&one[..cut], &other[..cut]].concat();
    union.sort_unstable();
    union.dedup();
    let mut genome = some_of(union, cut, draws);
    for i in cut..width {
        genome.push(if draws.below(2) == 0 { one[i] } else { other[i] });
    }
    if draws.uniform() < species.mutation {
        mutate(species, &mut genome, draws);
    }
    genome
}

/// Moves one level anywhere between its neighbours, or changes one choice.
fn mutate(species: Species, genome: &mut [u32], draws: &mut Draws) {
    let cut = species.steps - 1;
    let last = species.levels as u32 - 1;
    let (moves, changes) = (cut, if species.choices > 1 { species.steps } else { 0 });
    if moves + changes == 0 {
        return;
    }
    let at = draws.below((moves + changes) as u64) as usize;
    if at >= cut {
        // Any of the other choices.
        let other = draws.below(species.choices as u64 - 1) as u32;
        genome[at] = if other >= genome[at] { other + 1 } else { other };
        return;
    }
    let low = if at == 0 { 0 } else { genome[at - 1] };
    let high = if at + 1 == cut { last } else { genome[at + 1] };
    let room = high - low - 1;
    if room > 1 {
        let place = low + 1 + draws.below(u64::from(room) - 1) as u32;
        genome[at] = if place >= genome[at] { place + 1 } else { place };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIES: Species = Species { levels: 9, steps: 4, choices: 3, mutation: 0.5 };

    fn made(species: Species, parents: &[u32], count: usize) -> Vec<Vec<u32>> {
        let all = children(species, parents, (Rounds::from_key(3), 1), (0, count), Run::alone());
        all.unwrap().chunks_exact(species.width()).map(<[u32]>::to_vec).collect()
    }

    fn is_sound(species: Species, genome: &[u32]) -> bool {
        let (levels, choices) = genome.split_at(species.steps - 1);
        levels.windows(2).all(|pair| pair[0] < pair[1])
            && levels.iter().all(|&level| level > 0 && level < species.levels as u32 - 1)
            && choices.iter().all(|&choice| choice < species.choices as u32)
    }

    #[test]
    fn genomes_are_sound() {
        let first = made(SPECIES, &[], 500);
        let second = made(SPECIES, &first[..10].concat(), 500);
        assert!(first.iter().chain(&second).all(|genome| is_sound(SPECIES, genome)));
        for species in [
            Species { levels: 2, steps: 1, choices: 1, mutation: 1.0 },
            Species { levels: 5, steps: 4, choices: 1, mutation: 1.0 },
        ] {
            let first = made(species, &[], 3);
            let second = made(species, &first.concat(), 3);
            assert!(first.iter().chain(&second).all(|genome| is_sound(species, genome)));
        }
    }

    #[test]
    fn all_genomes_are_reached_and_first_ones_equally_often() {
        let species = Species { levels: 6, steps: 3, choices: 2, mutation: 1.0 };
        let mut seen = std::collections::HashMap::new();
        for genome in made(species, &[], 4800) {
            *seen.entry(genome).or_insert(0) += 1;
        }
        // 6 pairs of inner levels and 8 choices, 100 of each: 10 sd are left and right of that.
        assert_eq!(seen.len(), 48);
        assert!(seen.values().all(|&many: &i32| (many - 100).abs() < 100));
        let mut reached = std::collections::HashSet::from([vec![1, 2, 0, 0, 0]]);
        for _ in 0..12 {
            let parents: Vec<u32> = reached.iter().flatten().copied().collect();
            reached.extend(made(species, &parents, 200));
        }
        assert_eq!(reached.len(), 48);
    }

    #[test]
    fn without_mutation_children_are_made_of_their_parents() {
        let species = Species { mutation: 0.0, ..SPECIES };
        let parents = [[1, 2, 3, 0, 0, 0, 0], [5, 6, 7, 1, 1, 1, 2]];
        let all = made(species, &parents.concat(), 300);
        // Of both, in one child.
        let has = |genome: &[u32], parent: usize, i: usize| genome[i] == parents[parent][i];
        assert!(all.iter().any(|genome| has(genome, 0, 3) && has(genome, 1, 4)));
        assert!(all.iter().any(|genome| has(genome, 0, 0) && has(genome, 1, 2)));
        for genome in all {
            let (levels, choices) = genome.split_at(3);
            assert!(levels.iter().all(|level| [1, 2, 3, 5, 6, 7].contains(level)));
            for (i, choice) in choices.iter().enumerate() {
                assert!(*choice == parents[0][3 + i] || *choice == parents[1][3 + i]);
            }
        }
    }

    #[test]
    fn a_child_does_not_depend_on_its_neighbours() {
        let all = made(SPECIES, &[], 20);
        let alone = children(SPECIES, &[], (Rounds::from_key(3), 1), (13, 1), Run::alone());
        assert_eq!(alone.unwrap(), all[13]);
    }
}
