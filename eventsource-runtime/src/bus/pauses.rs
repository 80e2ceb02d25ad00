//! Growing pauses between attempts to reach a broker.

use std::time::Duration;

use tokio::time::{Instant, sleep};

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// What counts as forever; the clock has an end.
const FAR: Duration = Duration::from_hours(24 * 365);

/// When a timeout that begins now ends.
pub(super) fn until(timeout: Duration) -> Instant {
    Instant::now() + timeout.min(FAR)
}

/// The pauses of one operation, each twice as long as the one before.
#[derive(Default)]
pub(super) struct Pauses(u32);

impl Pauses {
    pub(super) async fn next(&mut self) {
        sleep(FIRST.saturating_mul(1 << self.0.min(8)).min(LONGEST)).await;
        self.0 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_out_may_be_without_end() {
        assert!(until(Duration::MAX) > Instant::now() + FAR / 2);
        assert!(until(Duration::ZERO) <= Instant::now());
    }
}
