//! Growing pauses between attempts to reach a broker.

use std::time::Duration;

use tokio::time::sleep;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// The pauses of one operation, each twice as long as the one before.
#[derive(Default)]
pub(super) struct Pauses(u32);

impl Pauses {
    pub(super) async fn next(&mut self) {
        sleep(FIRST.saturating_mul(1 << self.0.min(8)).min(LONGEST)).await;
        self.0 += 1;
    }
}
