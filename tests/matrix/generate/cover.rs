//! Choices that cover every pair: each level of each factor meets each level of every other one, where the two can
//! meet.

use std::collections::BTreeSet;

/// What can vary in an item, and how.
pub(crate) struct Factor {
    pub(crate) name: &'static str,
    pub(crate) levels: &'static [&'static str],
}

/// One level of each factor.
#[derive(Clone)]
pub(crate) struct Choice {
    factors: &'static [Factor],
    levels: Vec<usize>,
}

impl Choice {
    /// The level of a factor.
    pub(crate) fn of(&self, name: &str) -> &'static str {
        let found = self.factors.iter().zip(&self.levels).find(|(factor, _)| factor.name == name);
        let (factor, level) = found.unwrap_or_else(|| panic!("no factor `{name}`"));
        factor.levels[*level]
    }

    /// Whether a factor has one of these levels.
    pub(crate) fn is(&self, name: &str, levels: &[&str]) -> bool {
        levels.contains(&self.of(name))
    }

    fn pairs(&self) -> impl Iterator<Item = Pair> + '_ {
        let numbered = || self.levels.iter().copied().enumerate();
        numbered().flat_map(move |one| numbered().filter(move |other| one.0 < other.0).map(move |other| (one, other)))
    }

    /// All of it, for a comment.
    pub(crate) fn told(&self) -> String {
        let shown = self
            .factors
            .iter()
            .zip(&self.levels)
            .map(|(factor, level)| format!("{}={}", factor.name, factor.levels[*level]));
        shown.collect::<Vec<_>>().join(" ")
    }
}

type Pair = ((usize, usize), (usize, usize));

/// How many candidates compete for a place.
const CANDIDATES: usize = 20;
/// How often a pair is tried before it counts as one that cannot be.
const TRIES: usize = 400;

/// At least `count` choices, that cover every pair that `allowed` lets be.
pub(crate) fn choices(
    seed: u64,
    factors: &'static [Factor],
    count: usize,
    allowed: fn(&Choice) -> bool,
) -> Vec<Choice> {
    let mut random = Random(seed);
    let mut missing: BTreeSet<Pair> = every_pair(factors);
    let mut chosen = Vec::new();
    let mut seen = BTreeSet::new();
    while let Some(pair) = missing.first().copied() {
        let found = (0..TRIES).filter_map(|_| candidate(&mut random, factors, Some(pair), allowed)).take(CANDIDATES);
        let best = found.max_by_key(|choice| choice.pairs().filter(|pair| missing.contains(pair)).count());
        missing.remove(&pair);
        if let Some(best) = best {
            missing.retain(|pair| !best.pairs().any(|covered| covered == *pair));
            seen.insert(best.levels.clone());
            chosen.push(best);
        }
    }
    while chosen.len() < count {
        let other = candidate(&mut random, factors, None, allowed);
        chosen.extend(other.filter(|other| seen.insert(other.levels.clone())));
    }
    chosen
}

fn every_pair(factors: &[Factor]) -> BTreeSet<Pair> {
    let mut pairs = BTreeSet::new();
    for (one, first) in factors.iter().enumerate() {
        for (other, second) in factors.iter().enumerate().skip(one + 1) {
            for level in 0..first.levels.len() {
                pairs.extend((0..second.levels.len()).map(|with| ((one, level), (other, with))));
            }
        }
    }
    pairs
}

fn candidate(
    random: &mut Random,
    factors: &'static [Factor],
    pair: Option<Pair>,
    allowed: fn(&Choice) -> bool,
) -> Option<Choice> {
    let mut levels: Vec<usize> = factors.iter().map(|factor| random.below(factor.levels.len())).collect();
    for (factor, level) in pair.into_iter().flat_map(|(one, other)| [one, other]) {
        levels[factor] = level;
    }
    Some(Choice { factors, levels }).filter(allowed)
}

/// SplitMix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap_or(0)
    }
}
