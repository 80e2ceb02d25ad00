//! What a set-up loses on its way out: counted, and told to operators in one line a minute at most, of all signals.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use opentelemetry::Context;

use super::env::Signal;
use crate::sync::Mutex;
use crate::telemetry::log;
use crate::telemetry::otel::pipeline::root_of;
use crate::telemetry::otel::processed::Processed;
use crate::telemetry::otel::toggle;

/// The shortest time between two lines, in milliseconds.
const EVERY: u64 = 60_000;
const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];
/// Why something is lost of which no export failed.
const FULL: &str = "the queue is full";

/// What one set-up loses. Whatever is not told at once is told a minute later, with what came meanwhile, or at the end.
#[derive(Debug)]
pub(super) struct Losses {
    pub(super) spans: Arc<Processed>,
    pub(super) logs: Arc<Processed>,
    pub(super) began: Instant,
    /// Until when nothing is told, in milliseconds since it began.
    quiet: AtomicU64,
    told: Mutex<Told>,
}

/// What the last line has told, and what the next one will.
#[derive(Debug, Default)]
struct Told {
    /// How many items were lost, by signal; metrics are not counted.
    lost: [u64; 3],
    /// Why exports failed since, or what their receivers rejected.
    why: [Option<String>; 3],
    /// How many exporters fail.
    failing: [u32; 3],
    /// The signals that were told to fail, and have not been told to work again.
    failed: [bool; 3],
}

/// What is told: of which signals, how much is lost by now, and why.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    signals: String,
    lost: u64,
    why: String,
}

impl Losses {
    /// The time, in milliseconds since it began.
    pub(super) fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Something was dropped, and counted. It is told from a thread of its own: a span is dropped while another is
    /// current, whose ids would be on the event, and a log record while `tracing` dispatches it, where logging would
    /// panic.
    pub(super) fn dropped(self: &Arc<Self>, now: Instant) {
        if !self.takes_turn(now) {
            return;
        }
        let (losses, root) = (Arc::clone(self), toggle::has_context().then(|| Context::map_current(root_of)));
        let tell = move || {
            let _attached = root.map(Context::attach);
            let line = losses.told.lock().line(losses.lost());
            tell(line);
        };
        let _ = thread::Builder::new().name("eventsource-losses".into()).spawn(tell);
    }

    /// An export failed, or its receiver rejected a part of it, for this reason.
    pub(super) fn failed(&self, signal: Signal, why: String) {
        self.told.lock().why[signal as usize] = Some(why);
    }

    /// One more exporter of that signal fails, or one less. If that was told, it is told at once that all work again.
    pub(super) fn fails(&self, signal: Signal, fails: bool) {
        let works = self.told.lock().fails(signal, fails, self.lost());
        if let Some(lost) = works {
            log::export_works(signal.name(), lost);
        }
    }

    /// Tells what is not told yet, if it is time.
    pub(super) fn tell(&self, now: Instant) {
        tell(self.due(now));
    }

    fn due(&self, now: Instant) -> Option<Line> {
        if self.millis(now) < self.quiet.load(Ordering::Relaxed) {
            return None;
        }
        let mut told = self.told.lock();
        let lost = self.lost();
        (told.has_news(lost) && self.takes_turn(now)).then(|| told.line(lost)).flatten()
    }

    /// Tells what was lost since the last line, at the end.
    pub(super) fn tell_rest(&self) {
        let _outside = toggle::has_context().then(|| Context::map_current(root_of).attach());
        let line = self.told.lock().line(self.lost());
        tell(line);
    }

    /// Whether nothing was told for a minute, and nobody else is about to.
    fn takes_turn(&self, now: Instant) -> bool {
        let (now, from) = (self.millis(now), self.quiet.load(Ordering::Relaxed));
        let next = now.saturating_add(EVERY);
        now >= from && self.quiet.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn lost(&self) -> [u64; 3] {
        let of = |processed: &Processed| {
            processed.queue_full.load(Ordering::Relaxed) + processed.export_failed.load(Ordering::Relaxed)
        };
        ALL.map(|signal| match signal {
            Signal::Traces => of(&self.spans),
            Signal::Logs => of(&self.logs),
            Signal::Metrics => 0,
        })
    }
}

fn tell(line: Option<Line>) {
    if let Some(line) = line {
        log::lost(&line.signals, line.lost, &line.why);
    }
}

impl Told {
    fn has_news(&self, lost: [u64; 3]) -> bool {
        lost != self.lost || self.why.iter().any(Option::is_some)
    }

    /// The line that tells all that was not told yet.
    fn line(&mut self, lost: [u64; 3]) -> Option<Line> {
        let (mut signals, mut whys, mut sum) = (Vec::new(), Vec::new(), 0);
        for signal in ALL {
            let at = signal as usize;
            let is_full = lost[at] > self.lost[at];
            let Some(why) = self.why[at].take().or_else(|| is_full.then(|| FULL.to_owned())) else { continue };
            self.failed[at] |= self.failing[at] > 0;
            signals.push(signal.name());
            whys.push(why);
            sum += lost[at];
        }
        self.lost = lost;
        // Mostly there is one receiver, and one cause.
        let named = |(signal, why): (&&str, &String)| format!("{signal}: {why}");
        let why = match &*whys {
            [] => return None,
            [first, others @ ..] if others.iter().all(|why| why == first) => first.clone(),
            _ => signals.iter().zip(&whys).map(named).collect::<Vec<_>>().join("; "),
        };
        Some(Line { signals: signals.join(", "), lost: sum, why })
    }

    /// How much was lost of a signal that works again, if it was told to fail.
    fn fails(&mut self, signal: Signal, fails: bool, lost: [u64; 3]) -> Option<u64> {
        let at = signal as usize;
        self.failing[at] = if fails { self.failing[at] + 1 } else { self.failing[at].saturating_sub(1) };
        if self.failing[at] > 0 || !mem::take(&mut self.failed[at]) {
            return None;
        }
        (self.lost[at], self.why[at]) = (lost[at], None);
        Some(lost[at])
    }
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            spans: Arc::default(),
            logs: Arc::default(),
            began: Instant::now(),
            quiet: AtomicU64::new(0),
            told: Mutex::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A set-up, and what it tells within a second.
    #[derive(Default)]
    struct SetUp {
        losses: Arc<Losses>,
        lines: Vec<(u64, String)>,
    }

    impl SetUp {
        fn at(&mut self, second: u64) {
            if let Some(line) = self.losses.due(self.losses.began + Duration::from_secs(second)) {
                self.lines.push((second, format!("{} {} {}", line.signals, line.lost, line.why)));
            }
        }

        fn fails(&self, signal: Signal) {
            self.losses.failed(signal, "refused".into());
            self.losses.fails(signal, true);
        }

        fn works(&self, signal: Signal) -> Option<u64> {
            self.losses.told.lock().fails(signal, false, self.losses.lost())
        }
    }

    fn lose(of: &Processed, count: u64) {
        of.queue_full.fetch_add(count, Ordering::Relaxed);
    }

    #[test]
    fn whatever_is_lost_of_all_signals_is_one_line_a_minute() {
        let mut told = SetUp::default();
        for second in 0..180 {
            lose(&told.losses.spans, 10);
            told.at(second);
            if second > 0 {
                lose(&told.losses.logs, 1);
                told.losses.failed(Signal::Metrics, "refused".into());
            }
        }
        let both = |spans: u64, logs| {
            let why = "traces: the queue is full; metrics: refused; logs: the queue is full";
            format!("traces, metrics, logs {} {why}", spans + logs)
        };
        let first = "traces 10 the queue is full".to_owned();
        assert_eq!(told.lines, [(0, first), (60, both(610, 59)), (120, both(1210, 119))]);
    }

    #[test]
    fn one_receiver_that_is_away_is_one_cause() {
        let mut told = SetUp::default();
        for signal in ALL {
            told.fails(signal);
        }
        told.at(0);
        told.at(60);
        assert_eq!(told.lines, [(0, "traces, metrics, logs 0 refused".to_owned())], "and nothing is told twice");
    }

    #[test]
    fn what_works_again_is_told_at_once_with_what_is_lost_if_its_failure_was() {
        let mut told = SetUp::default();
        told.fails(Signal::Traces);
        told.fails(Signal::Traces);
        lose(&told.losses.spans, 5);
        told.at(0);
        lose(&told.losses.spans, 2);
        assert_eq!([told.works(Signal::Traces), told.works(Signal::Traces)], [None, Some(7)], "both exporters");
        for second in 1..=60 {
            told.fails(Signal::Traces);
            lose(&told.losses.spans, 1);
            assert_eq!(told.works(Signal::Traces), None, "that it failed was not told");
            told.at(second);
        }
        let lines = [(0, "traces 5 refused".to_owned()), (60, "traces 67 refused".to_owned())];
        assert_eq!(told.lines, lines);
    }

    #[test]
    fn a_burst_is_told_in_full_by_the_next_export_after_a_minute() {
        let mut told = SetUp::default();
        lose(&told.losses.logs, 1);
        told.at(0);
        lose(&told.losses.logs, 999);
        told.at(59);
        told.at(61);
        told.at(200);
        let lines = [(0, "logs 1 the queue is full".to_owned()), (61, "logs 1000 the queue is full".to_owned())];
        assert_eq!(told.lines, lines);
    }
}
