//! What was told of the losses of one signal, and what will be.

use std::mem;
use std::sync::atomic::Ordering;

use crate::telemetry::otel::processed::Processed;

/// The most causes that a line names.
const CAUSES: usize = 4;

/// What was told of a signal, and what will be.
#[derive(Debug, Default)]
pub(super) struct Account {
    told: Lost,
    /// Why items were lost in exports since the last line, each cause once.
    causes: Vec<String>,
    /// The last cause so far, also of what is lost without another export.
    cause: Option<String>,
    /// How many exporters fail.
    failing: u32,
    /// Whether it was told that one fails.
    told_failing: bool,
}

/// How many items of a signal are lost; metrics are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    queue_full: u64,
    export_failed: u64,
}

impl Account {
    pub(super) fn has_news(&self, lost: Lost) -> bool {
        lost != self.told || !self.causes.is_empty()
    }

    /// Why something was lost since the last line, if it was.
    pub(super) fn news(&mut self, lost: Lost) -> Option<String> {
        let mut causes = mem::take(&mut self.causes);
        if causes.is_empty() && lost.export_failed > self.told.export_failed {
            causes.push(self.cause.clone().unwrap_or_else(|| "exports fail".to_owned()));
        }
        if lost.queue_full > self.told.queue_full {
            causes.push("the queue is full".to_owned());
        }
        self.told = lost;
        self.told_failing |= self.failing > 0 && !causes.is_empty();
        (!causes.is_empty()).then(|| causes.join(", "))
    }

    /// Whether to tell that all exporters work again.
    pub(super) fn ended(&mut self, fails: Option<bool>, cause: Option<String>, lost: Lost) -> bool {
        match fails {
            Some(true) => self.failing += 1,
            Some(false) => self.failing -= 1,
            None => {}
        }
        let works = self.failing == 0 && mem::take(&mut self.told_failing);
        if works {
            (self.told, self.causes) = (lost, Vec::new());
        }
        if let Some(cause) = cause {
            if self.causes.len() < CAUSES && !self.causes.contains(&cause) {
                self.causes.push(cause.clone());
            }
            self.cause = Some(cause);
        }
        works
    }
}

impl Lost {
    pub(super) fn of(processed: &Processed) -> Self {
        let [queue_full, export_failed] =
            [&processed.queue_full, &processed.export_failed].map(|count| count.load(Ordering::Relaxed));
        Self { queue_full, export_failed }
    }

    pub(super) fn sum(self) -> u64 {
        self.queue_full + self.export_failed
    }
}
