//! Samples of one variant, and rounds in which the variants take turns.

use std::time::{Duration, Instant};

/// The samples of one variant, round by round; more is better or worse as their unit says.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds the sample of the next round.
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// The middle sample.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[middle - 1], sorted[middle]) } else { sorted[middle] }
    }

    /// The smallest and the largest sample.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        self.0
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &sample| (least.min(sample), most.max(sample)))
    }

    /// How these compare with others of the same rounds: the middle one of the rounds' ratios. What slows a machine
    /// down for a while slows both, so that this is steadier than the ratio of two medians.
    ///
    /// # Panics
    /// There are no rounds.
    #[must_use]
    pub fn ratio(&self, others: &Self) -> f64 {
        Self(self.0.iter().zip(&others.0).map(|(ours, theirs)| ours / theirs).collect()).median()
    }
}

/// Something that is measured in rounds: each call does the work once and tells how many operations it was and how
/// long they took, without the preparation.
pub struct Contender<'a> {
    /// What the table calls it.
    pub title: String,
    run: Box<dyn FnMut() -> (u64, Duration) + 'a>,
}

impl<'a> Contender<'a> {
    /// A contender that measures itself.
    pub fn new(title: impl Into<String>, run: impl FnMut() -> (u64, Duration) + 'a) -> Self {
        Self { title: title.into(), run: Box::new(run) }
    }
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Contender").field(&self.title).finish()
    }
}

/// Operations a second of each contender, taken in turns: a disturbance of the machine meets all of them. The order
/// turns from round to round, so that nobody always runs after the same neighbour.
pub fn operations_per_second(rounds: usize, contenders: &mut [Contender<'_>]) -> Vec<Samples> {
    let mut samples = vec![Samples::default(); contenders.len()];
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let at = (turn + round) % contenders.len();
            let (operations, elapsed) = (contenders[at].run)();
            // The first round warms up.
            if round > 0 {
                #[expect(clippy::cast_precision_loss, reason = "far fewer operations than an f64 can count")]
                samples[at].push(operations as f64 / elapsed.as_secs_f64());
            }
        }
    }
    samples
}

/// How long a closure takes, and what it returns.
pub fn timed<R>(work: impl FnOnce() -> R) -> (R, Duration) {
    let started = Instant::now();
    let returned = work();
    (returned, started.elapsed())
}
