//! Samples of one variant, and rounds in which the variants take turns.

use std::time::{Duration, Instant};

/// The samples of one variant; more is better or worse as their unit says.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Adds a sample.
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle sample.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        if self.0.len().is_multiple_of(2) { f64::midpoint(self.0[middle - 1], self.0[middle]) } else { self.0[middle] }
    }

    /// The smallest and the largest sample.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        (self.0[0], self.0[self.0.len() - 1])
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
