//! What a set-up loses on its way out: counted, and told to operators in one line a minute at most, of all signals.

mod account;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::{Context, KeyValue};

use self::account::{Account, Lost};
use super::env::Signal;
use crate::sync::Mutex;
use crate::telemetry::otel::pipeline::{self, Pipeline};
use crate::telemetry::otel::processed::Processed;
use crate::telemetry::otel::{line, toggle};
use crate::telemetry::{log, names};

/// The shortest time between two lines, in milliseconds.
const EVERY: u64 = 60_000;
const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// What one set-up loses. What is not told at once is told a minute later, with what came meanwhile, or when the set-up
/// begins to end. What the end itself loses is told by its result.
#[derive(Debug)]
pub(super) struct Losses {
    pub(super) spans: Arc<Processed>,
    pub(super) logs: Arc<Processed>,
    pub(super) began: Instant,
    /// Until when nothing is told, in milliseconds since it began.
    quiet: AtomicU64,
    accounts: Mutex<[Account; 3]>,
    /// Whose log events the lines are, and whether it prints them.
    pipeline: OnceLock<(Weak<Pipeline>, bool)>,
}

/// What is told: of which signals something is lost, and why; and how many items of all signals are by now.
#[derive(Debug)]
struct Line {
    signals: Vec<Signal>,
    lost: u64,
    why: String,
}

impl Losses {
    /// Has its lines be log events of that pipeline, which prints them, or does not.
    pub(super) fn belong_to(&self, pipeline: &Arc<Pipeline>, prints_logs: bool) {
        self.pipeline.get_or_init(|| (Arc::downgrade(pipeline), prints_logs));
    }

    /// The time, in milliseconds since it began.
    pub(super) fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Something was dropped, and counted. It is told from a thread of its own: a log record is dropped while `tracing`
    /// dispatches it, where logging would panic.
    pub(super) fn dropped(self: &Arc<Self>, now: Instant) {
        if self.takes_turn(now) {
            let losses = Arc::clone(self);
            // Without a thread it is told later.
            let _ = thread::Builder::new().name("eventsource-losses".into()).spawn(move || losses.tell_news());
        }
    }

    /// An export ended: whether its exporter has begun to fail or works again, and why something was lost in it. That
    /// all exporters of the signal work again is told at once, if it was told that they do not.
    pub(super) fn ended(&self, signal: Signal, fails: Option<bool>, cause: Option<String>) {
        let works = self.accounts.lock()[signal as usize].ended(fails, cause, self.lost(signal));
        if works {
            self.outside_spans(false, || log::export_works(signal.name(), self.total()));
        }
    }

    /// Tells what is not told yet, if it is time.
    pub(super) fn tell(&self, now: Instant) {
        if let Some(line) = self.due(now) {
            self.say(&line);
        }
    }

    fn due(&self, now: Instant) -> Option<Line> {
        let is_time = self.millis(now) >= self.quiet.load(Ordering::Relaxed);
        (is_time && self.has_news() && self.takes_turn(now)).then(|| self.line()).flatten()
    }

    /// Tells what is not told yet, though it may not be time, and waits for it no longer than so long: subscribers are
    /// others' code. From a thread of its own, where their panics do no harm either.
    pub(super) fn tell_rest(self: &Arc<Self>, most: Duration) {
        if !self.has_news() {
            return;
        }
        let (losses, (told, tells)) = (Arc::clone(self), mpsc::channel::<()>());
        let tell = move || {
            let _told = told;
            losses.tell_news();
        };
        if thread::Builder::new().name("eventsource-losses".into()).spawn(tell).is_ok() {
            let _ = tells.recv_timeout(most);
        }
    }

    /// Whether nothing was told for a minute, and nobody else is about to.
    fn takes_turn(&self, now: Instant) -> bool {
        let (now, from) = (self.millis(now), self.quiet.load(Ordering::Relaxed));
        let next = now.saturating_add(EVERY);
        now >= from && self.quiet.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn lost(&self, signal: Signal) -> Lost {
        match signal {
            Signal::Traces => Lost::of(&self.spans),
            Signal::Logs => Lost::of(&self.logs),
            Signal::Metrics => Lost::default(),
        }
    }

    fn total(&self) -> u64 {
        ALL.into_iter().map(|signal| self.lost(signal).sum()).sum()
    }

    fn has_news(&self) -> bool {
        let accounts = self.accounts.lock();
        ALL.into_iter().any(|signal| accounts[signal as usize].has_news(self.lost(signal)))
    }

    fn tell_news(&self) {
        if let Some(line) = self.line() {
            self.say(&line);
        }
    }

    /// To stderr as well where no subscriber takes it: a receiver that is away gets no log records either.
    fn say(&self, Line { signals, lost, why }: &Line) {
        let names: Vec<_> = signals.iter().map(|signal| signal.name()).collect();
        let (names, lost) = (names.join(", "), (*lost > 0).then_some(*lost));
        // What the exporter of logs loses would have it lose the line, too, again and again.
        self.outside_spans(signals.contains(&Signal::Logs), || log::lost(&names, lost, why));
        if !self.pipeline.get().is_some_and(|(_, prints_logs)| *prints_logs) && pipeline::nobody_listens() {
            let lost = lost.map(|lost| KeyValue::new(names::EVENTSOURCE_DROPPED, lost.to_string()));
            let fields = [KeyValue::new(names::EVENTSOURCE_SIGNAL, names)].into_iter().chain(lost);
            let fields: Vec<_> = fields.chain([KeyValue::new(names::EXCEPTION_MESSAGE, why.clone())]).collect();
            line::warn("telemetry is lost", &fields);
        }
    }

    /// The line that tells all that is not told yet.
    fn line(&self) -> Option<Line> {
        let (mut signals, mut causes) = (Vec::new(), Vec::new());
        let mut accounts = self.accounts.lock();
        for signal in ALL {
            if let Some(cause) = accounts[signal as usize].news(self.lost(signal)) {
                signals.push(signal);
                causes.push(cause);
            }
        }
        // Mostly there is one receiver, and one cause.
        let named = |(signal, cause): (&Signal, &String)| format!("{}: {cause}", signal.name());
        let why = match &*causes {
            [] => return None,
            [first, others @ ..] if others.iter().all(|cause| cause == first) => first.clone(),
            _ => signals.iter().zip(&causes).map(named).collect::<Vec<_>>().join("; "),
        };
        Some(Line { signals, lost: self.total(), why })
    }

    /// Logs in no span, and to where the set-up sends its logs, unless they are not to be exported. The threads that
    /// export otherwise export nothing of what they log.
    fn outside_spans(&self, unexported: bool, log: impl FnOnce()) {
        let pipeline = self.pipeline.get().and_then(|(pipeline, _)| pipeline.upgrade());
        let context = pipeline.map_or_else(Context::new, |pipeline| pipeline::scope(&Context::new(), pipeline));
        let context = if unexported { context.with_telemetry_suppressed() } else { context };
        let _attached = toggle::has_context().then(|| context.attach());
        log();
    }
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            spans: Arc::default(),
            logs: Arc::default(),
            began: Instant::now(),
            quiet: AtomicU64::new(0),
            accounts: Mutex::default(),
            pipeline: OnceLock::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set-up, and what it tells within a second.
    #[derive(Default)]
    struct SetUp {
        losses: Arc<Losses>,
        lines: Vec<(u64, String)>,
    }

    impl SetUp {
        fn at(&mut self, second: u64) {
            if let Some(Line { signals, lost, why }) = self.losses.due(self.losses.began + Duration::from_secs(second))
            {
                let names: Vec<_> = signals.iter().map(|signal| signal.name()).collect();
                self.lines.push((second, format!("{} {lost} {why}", names.join("+"))));
            }
        }

        fn ended(&self, fails: Option<bool>, cause: &str) -> bool {
            let cause = (!cause.is_empty()).then(|| cause.to_owned());
            let lost = self.losses.lost(Signal::Traces);
            self.losses.accounts.lock()[Signal::Traces as usize].ended(fails, cause, lost)
        }

        fn told(&self) -> Vec<(u64, &str)> {
            self.lines.iter().map(|(second, line)| (*second, &**line)).collect()
        }
    }

    fn add(count: &AtomicU64, items: u64) {
        count.fetch_add(items, Ordering::Relaxed);
    }

    #[test]
    fn whatever_is_lost_of_all_signals_is_one_line_a_minute() {
        let mut set_up = SetUp::default();
        for second in 0..180 {
            add(&set_up.losses.spans.queue_full, 10);
            set_up.at(second);
            if second > 0 {
                add(&set_up.losses.logs.export_failed, 1);
                set_up.losses.ended(Signal::Logs, None, Some("refused".into()));
                set_up.losses.ended(Signal::Metrics, None, Some("hangs".into()));
            }
        }
        let why = "traces: the queue is full; metrics: hangs; logs: refused";
        let all = |lost| format!("traces+metrics+logs {lost} {why}");
        assert_eq!(
            set_up.told(),
            [(0, "traces 10 the queue is full"), (60, &*all(610 + 59)), (120, &*all(1210 + 119))]
        );
    }

    /// Which of them finds it first has the first line.
    #[test]
    fn a_receiver_that_is_away_is_one_cause_of_all() {
        let mut set_up = SetUp::default();
        for signal in ALL {
            set_up.losses.ended(signal, Some(true), Some("refused".into()));
            set_up.at(0);
        }
        set_up.at(59);
        set_up.at(60);
        set_up.at(120);
        assert_eq!(set_up.told(), [(0, "traces 0 refused"), (60, "metrics+logs 0 refused")], "nothing is told twice");
    }

    #[test]
    fn what_works_again_is_told_at_once_with_what_is_lost_if_its_failure_was() {
        let mut set_up = SetUp::default();
        let spans = Arc::clone(&set_up.losses.spans);
        set_up.ended(Some(true), "refused");
        add(&spans.export_failed, 5);
        set_up.at(0);
        set_up.ended(Some(true), "hangs");
        add(&spans.export_failed, 2);
        assert_eq!([set_up.ended(Some(false), ""), set_up.ended(Some(false), "")], [false, true], "both exporters");
        set_up.at(60);
        assert_eq!(set_up.told(), [(0, "traces 5 refused")], "the rest was told by then");
        set_up.ended(Some(true), "refused");
        set_up.at(61);
        for second in 62..=121 {
            add(&spans.export_failed, 1);
            assert_eq!(set_up.ended(Some(false), ""), second == 62, "later failures were not told");
            set_up.ended(Some(true), "refused");
            set_up.at(second);
        }
        assert_eq!(set_up.told()[1..], [(61, "traces 7 refused"), (121, "traces 67 refused")]);
    }

    /// It was passed over, as if all were well.
    #[test]
    fn what_is_rejected_by_a_receiver_that_works_again_is_told() {
        let mut set_up = SetUp::default();
        set_up.ended(Some(true), "refused");
        set_up.at(0);
        assert!(set_up.ended(Some(false), "2 rejected: quota"));
        add(&set_up.losses.spans.export_failed, 2);
        set_up.at(60);
        assert_eq!(set_up.told(), [(0, "traces 0 refused"), (60, "traces 2 2 rejected: quota")]);
    }

    /// That the receiver is left alone was told as a full queue, of which there was none.
    #[test]
    fn what_is_lost_without_another_export_has_the_cause_of_the_last() {
        let mut set_up = SetUp::default();
        set_up.ended(Some(true), "refused");
        set_up.at(0);
        add(&set_up.losses.spans.export_failed, 3);
        set_up.at(60);
        assert_eq!(set_up.told(), [(0, "traces 0 refused"), (60, "traces 3 refused")]);
    }

    #[test]
    fn each_cause_is_told_once() {
        let mut set_up = SetUp::default();
        for cause in ["refused", "hangs", "refused"] {
            set_up.ended(None, cause);
        }
        add(&set_up.losses.spans.queue_full, 1);
        set_up.at(0);
        assert_eq!(set_up.told(), [(0, "traces 1 refused, hangs, the queue is full")]);
        for cause in 0..100 {
            set_up.ended(None, &cause.to_string());
        }
        set_up.at(60);
        assert_eq!(set_up.told()[1..], [(60, "traces 1 0, 1, 2, 3")], "but for too many");
    }

    #[test]
    fn a_burst_is_told_in_full_by_the_next_export_after_a_minute() {
        let mut set_up = SetUp::default();
        add(&set_up.losses.logs.queue_full, 1);
        set_up.at(0);
        add(&set_up.losses.logs.queue_full, 999);
        set_up.at(59);
        set_up.at(61);
        set_up.at(200);
        assert_eq!(set_up.told(), [(0, "logs 1 the queue is full"), (61, "logs 1000 the queue is full")]);
    }
}
