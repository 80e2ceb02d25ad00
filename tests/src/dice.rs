//! Numbers for tests that print their seed.

/// A generator of numbers that follow from a seed.
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A seed that is another one in each run, and printed: what to begin with to see the same again.
    #[must_use]
    pub fn seed() -> u64 {
        let seed = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
        println!("seed {seed}");
        seed
    }

    /// The next number, below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
