//! When operators are told of what is lost: at most once a minute, whatever it is.

use std::fmt::Display;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::env::Signal;
use crate::sync::Mutex;

/// The shortest time between two log events about losses, in milliseconds.
const EVERY: u64 = 60_000;

/// Lets one log event a minute out about a set-up's losses. The next one catches up: it names all that began to fail
/// meanwhile, with their causes.
#[derive(Debug)]
pub(super) struct Alarm {
    began: Instant,
    /// When it may ring again, in milliseconds since it began.
    from: AtomicU64,
    /// The same for what a full queue drops, of each signal: it would ring a thousand times as often as the failures
    /// that cause it, and comes a minute later.
    from_for_drops: [AtomicU64; 3],
    exporters: Mutex<Vec<(Signal, State)>>,
}

/// How an exporter does.
#[derive(Debug)]
enum State {
    Works,
    /// Why it fails; nobody was told yet.
    Fails(String),
    FailsAsTold,
}

/// The exporters that began to fail, and why.
#[derive(Debug)]
pub(super) struct Failures {
    pub(super) signals: String,
    pub(super) causes: String,
}

impl Alarm {
    /// That began at a moment.
    pub(super) fn new(began: Instant) -> Self {
        Self { began, from: AtomicU64::default(), from_for_drops: Default::default(), exporters: Mutex::default() }
    }

    /// The number of another exporter, which works.
    pub(super) fn watch(&self, signal: Signal) -> usize {
        let mut exporters = self.exporters.lock();
        exporters.push((signal, State::Works));
        exporters.len() - 1
    }

    /// An exporter has failed: what to log, if anything.
    pub(super) fn fails(&self, exporter: usize, cause: &dyn Display, now: Instant) -> Option<Failures> {
        let mut exporters = self.exporters.lock();
        if let Some((_, state)) = exporters.get_mut(exporter)
            && !matches!(state, State::FailsAsTold)
        {
            *state = State::Fails(cause.to_string());
        }
        if is_all_told(&exporters) || !self.rings(now) {
            return None;
        }
        let untold = exporters.iter_mut().filter(|(_, state)| matches!(state, State::Fails(_)));
        let told = untold.filter_map(|(signal, state)| match mem::replace(state, State::FailsAsTold) {
            State::Fails(cause) => Some((*signal, cause)),
            _ => None,
        });
        Some(Failures::of(&told.collect::<Vec<_>>()))
    }

    /// An exporter has exported: whether to log that it works again.
    pub(super) fn works(&self, exporter: usize) -> bool {
        let mut exporters = self.exporters.lock();
        let state = exporters.get_mut(exporter).map(|(_, state)| mem::replace(state, State::Works));
        matches!(state, Some(State::FailsAsTold))
    }

    /// Whether to log that something else was lost.
    pub(super) fn rings(&self, now: Instant) -> bool {
        let now = self.millis(now);
        let known = self.from.load(Ordering::Relaxed);
        let next = now.saturating_add(EVERY);
        now >= known && self.from.compare_exchange(known, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether to log that something was dropped. A failure that is not told yet goes first.
    pub(super) fn rings_for_drop(&self, signal: Signal, now: Instant) -> bool {
        let from = &self.from_for_drops[signal as usize];
        let millis = self.millis(now);
        let may_ring = millis >= from.load(Ordering::Relaxed) && millis >= self.from.load(Ordering::Relaxed);
        let rings = may_ring && is_all_told(&self.exporters.lock()) && self.rings(now);
        if rings {
            from.store(millis.saturating_add(2 * EVERY), Ordering::Relaxed);
        }
        rings
    }

    /// The time, in milliseconds since it began.
    pub(super) fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }
}

fn is_all_told(exporters: &[(Signal, State)]) -> bool {
    !exporters.iter().any(|(_, state)| matches!(state, State::Fails(_)))
}

impl Failures {
    fn of(told: &[(Signal, String)]) -> Self {
        let join = |each: Vec<String>, by| each.join(by);
        let signals = join(told.iter().map(|(signal, _)| signal.name().to_owned()).collect(), ", ");
        let causes = match told {
            [(_, cause)] => cause.clone(),
            told => join(told.iter().map(|(signal, cause)| format!("{}: {cause}", signal.name())).collect(), "; "),
        };
        Self { signals, causes }
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self::new(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(alarm: &Alarm, second: u64) -> Instant {
        alarm.began + Duration::from_secs(second)
    }

    #[test]
    fn an_exporter_that_fails_now_and_then_is_told_once_a_minute() {
        let alarm = Alarm::default();
        let spans = alarm.watch(Signal::Traces);
        let mut lines = Vec::new();
        for second in 0..120 {
            let fails = second % 2 == 0;
            let told =
                if fails { alarm.fails(spans, &"gone", at(&alarm, second)).is_some() } else { alarm.works(spans) };
            if told {
                lines.push((second, fails));
            }
        }
        assert_eq!(lines, [(0, true), (1, false), (60, true), (61, false)]);
    }

    /// One line for each signal was three a minute; one of them alone was as if the others were well.
    #[test]
    fn all_that_began_to_fail_in_the_last_minute_is_one_line_with_each_cause() {
        let alarm = Alarm::default();
        let all = [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Traces].map(|signal| alarm.watch(signal));
        let fail = |nth: usize, cause: &str, second| {
            let told = alarm.fails(all[nth], &cause, at(&alarm, second));
            told.map_or_else(String::new, |told| format!("{} fail: {}", told.signals, told.causes))
        };
        assert_eq!(fail(0, "refused", 0), "traces fail: refused");
        assert_eq!([fail(1, "refused", 1), fail(2, "401", 2), fail(2, "404", 59)], ["", "", ""]);
        assert_eq!(fail(0, "refused", 60), "metrics, logs fail: metrics: refused; logs: 404");
        assert_eq!([fail(3, "hangs", 61), fail(1, "refused", 119)], ["", ""]);
        assert!(!alarm.works(all[3]), "nobody knew");
        assert_eq!(fail(0, "refused", 120), "", "all are told");
        assert_eq!(all.map(|exporter| alarm.works(exporter)), [true, true, true, false]);
        assert_eq!(fail(3, "hangs", 121), "traces fail: hangs");
    }

    #[test]
    fn what_is_dropped_all_the_time_leaves_room_for_the_cause_and_for_other_signals() {
        let alarm = Alarm::default();
        let logs = alarm.watch(Signal::Logs);
        let mut lines = Vec::new();
        for second in 0..300 {
            let now = at(&alarm, second);
            for signal in [Signal::Logs, Signal::Traces] {
                if alarm.rings_for_drop(signal, now) {
                    lines.push((second, signal.name()));
                }
            }
            if second % 50 == 49 && alarm.fails(logs, &"refused", now).is_some() {
                lines.push((second, "fails"));
            }
        }
        assert_eq!(lines, [(0, "logs"), (99, "fails"), (159, "logs"), (219, "traces"), (279, "logs")]);
    }
}
