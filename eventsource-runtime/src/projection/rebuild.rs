//! The progress of a rebuild: a metric for observers elsewhere, a bar for the terminal, and its begin and end in the
//! log.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::options::Rebuild;
use crate::store::Position;
use crate::sync::Mutex;
use crate::telemetry::{log, metrics};

/// The shortest time between two redraws of the bar.
const REDRAW: Duration = Duration::from_millis(100);
const WIDTH: u64 = 30;

/// The rebuild of all parts of a projection, up to where the feed ended when it began.
#[derive(Debug)]
pub(super) struct Rebuilding {
    projection: &'static str,
    mode: Rebuild,
    begun: Instant,
    events: AtomicU64,
    has_ended: AtomicBool,
    past: u64,
    parts: Box<[AtomicU64]>,
    metric: Option<Arc<metrics::Told>>,
    bar: Option<Bar>,
}

impl Rebuilding {
    /// A rebuild that begins now.
    pub(super) fn begin(projection: &'static str, mode: Rebuild, past: Position, parts: usize, metrics: bool) -> Self {
        log::projection_rebuild_begun(projection, mode.as_str(), past);
        Self {
            projection,
            mode,
            begun: Instant::now(),
            events: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
            past: past.get(),
            parts: (0..parts).map(|_| AtomicU64::new(0)).collect(),
            metric: if metrics { metrics::Told::rebuild(projection) } else { None },
            bar: std::io::stderr().is_terminal().then(Bar::default),
        }
    }

    /// Counts events that were applied, skipped or set aside.
    pub(super) fn applied(&self, events: usize) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
    }

    pub(super) fn is_in_place(&self) -> bool {
        self.mode == Rebuild::InPlace
    }

    /// The new read model is what readers see from now on, with the past in it. Only the first call counts.
    pub(super) fn ended(&self) {
        if !self.has_ended.swap(true, Ordering::Relaxed) {
            let events = self.events.load(Ordering::Relaxed);
            log::projection_rebuilt(self.projection, self.mode.as_str(), events, self.begun.elapsed());
        }
    }

    /// Records how far a part is.
    pub(super) fn reached(&self, part: u32, position: Position) {
        if let Some(reached) = self.parts.get(part as usize) {
            reached.store(position.get().min(self.past), Ordering::Relaxed);
        }
        // The part that is furthest behind decides when a rebuild is done.
        let done = self.parts.iter().map(|part| part.load(Ordering::Relaxed)).min().unwrap_or_default();
        if let Some(metric) = &self.metric {
            metric.done(share(done, self.past));
        }
        if let Some(bar) = &self.bar {
            bar.draw(self.projection, done, self.past);
        }
        // One that is built aside has yet to be put in its place.
        if self.is_in_place() && done >= self.past {
            self.ended();
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share is no count")]
fn share(done: u64, of: u64) -> f64 {
    if of == 0 { 1.0 } else { done as f64 / of as f64 }
}

/// A line at the terminal, drawn over and over until the rebuild is done.
#[derive(Debug, Default)]
struct Bar(Arc<Mutex<Lines>>);

/// What is written next, and whether somebody is writing: a terminal that is stopped holds up nothing but the bar.
#[derive(Debug, Default)]
struct Lines {
    next: Option<String>,
    drawn: Option<Instant>,
    are_written: bool,
    are_finished: bool,
}

impl Bar {
    fn draw(&self, projection: &str, done: u64, of: u64) {
        let is_last = done >= of;
        let mut lines = self.0.lock();
        let is_early = !is_last && lines.drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW);
        if lines.are_finished || is_early {
            return;
        }
        lines.are_finished = is_last;
        lines.drawn = Some(Instant::now());
        lines.next = Some(line(projection, done, of));
        if !std::mem::replace(&mut lines.are_written, true) {
            let lines = Arc::clone(&self.0);
            // A runtime would wait for its own threads to end. Without a thread there is no bar.
            let _ = thread::Builder::new()
                .name("eventsource-rebuild".into())
                .spawn(move || write(&lines, &mut std::io::stderr()));
        }
    }
}

/// Writes the latest line until there is none.
fn write(lines: &Mutex<Lines>, out: &mut impl Write) {
    loop {
        let mut latest = lines.lock();
        let Some(line) = latest.next.take() else {
            latest.are_written = false;
            return;
        };
        drop(latest);
        // Nobody sees a bar that cannot be drawn.
        let _ = out.write_all(line.as_bytes());
    }
}

/// Such as `rebuilding OrderViews [###------] 33 % of 12000`, over whatever stood in the line.
fn line(projection: &str, done: u64, of: u64) -> String {
    let filled = done.saturating_mul(WIDTH).checked_div(of).unwrap_or(WIDTH).min(WIDTH);
    let percent = done.saturating_mul(100).checked_div(of).unwrap_or(100);
    let mut line = format!("\r\x1b[Krebuilding {projection} [");
    (0..WIDTH).for_each(|place| line.push(if place < filled { '#' } else { '-' }));
    let _ = write!(line, "] {percent} % of {of}");
    if done >= of {
        line.push('\n');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills_and_ends_its_line() {
        assert_eq!(line("P", 0, 200), format!("\r\x1b[Krebuilding P [{}] 0 % of 200", "-".repeat(30)));
        assert_eq!(
            line("P", 100, 200),
            format!("\r\x1b[Krebuilding P [{}{}] 50 % of 200", "#".repeat(15), "-".repeat(15))
        );
        assert_eq!(line("P", 200, 200), format!("\r\x1b[Krebuilding P [{}] 100 % of 200\n", "#".repeat(30)));
        assert_eq!(line("P", 0, 0), format!("\r\x1b[Krebuilding P [{}] 100 % of 0\n", "#".repeat(30)));
    }

    /// The last line was left out, and the terminal never saw the end.
    #[test]
    fn what_is_drawn_while_a_line_is_written_is_written_after_it() {
        struct Drawing<'a>(&'a Mutex<Lines>, Vec<u8>);
        impl Write for Drawing<'_> {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                if self.1.is_empty() {
                    self.0.lock().next = Some("last".into());
                }
                self.1.write(bytes)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let lines = Mutex::new(Lines { next: Some("first, ".into()), are_written: true, ..Lines::default() });
        let mut out = Drawing(&lines, Vec::new());
        write(&lines, &mut out);
        assert_eq!((str::from_utf8(&out.1), lines.lock().are_written), (Ok("first, last"), false));
    }

    #[test]
    fn the_part_that_is_furthest_behind_decides() {
        let rebuilding = Rebuilding::begin("P", Rebuild::InPlace, Position::new(10), 2, false);
        rebuilding.reached(0, Position::new(12));
        rebuilding.reached(1, Position::new(5));
        let reached: Vec<_> = rebuilding.parts.iter().map(|part| part.load(Ordering::Relaxed)).collect();
        assert_eq!(reached, [10, 5]);
        assert!((share(5, 10) - 0.5).abs() < f64::EPSILON);
        assert!((share(0, 0) - 1.0).abs() < f64::EPSILON);
    }
}
