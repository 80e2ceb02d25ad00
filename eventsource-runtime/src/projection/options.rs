//! Options of a runner, and of each of its projections.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Clock};
use crate::store::Position;

/// How many times a failing step is retried before its policy decides.
const RETRIES: u32 = 5;
/// How long a store may be in trouble before a projection stops.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long a lease lasts if it is not renewed.
const LEASE: Duration = Duration::from_secs(5);

/// What happens to an event that a projection cannot apply once the retries are used up: its method fails or panics; or
/// at once, if the payload cannot be decoded or the error is [permanent](super::ProjectionError::permanent).
///
/// A store in trouble does not count as such a failure: the policy acts only when the store has just answered. An event
/// of a newer schema version does: with `Skip`, release the program that reads it before the one that writes it. So does
/// one that led a process manager to a command which its program does not know: with `Skip`, release the command's
/// handler before the manager that dispatches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// The projection stops before the event, and reports why.
    #[default]
    Stop,
    /// The event is skipped, with a log record. What a process manager had decided on and not dispatched yet, it never
    /// dispatches.
    Skip,
    /// The event is set aside, and so are all later events of its stream, in order, until somebody retries or resolves
    /// them. Other streams continue.
    DeadLetter,
}

/// Options of one projection of a runner; those that are not set are the runner's.
///
/// ```
/// # use eventsource_runtime::projection::{OnFailure, ProjectionOptions};
/// let options = ProjectionOptions::default().on_failure(OnFailure::DeadLetter).partitions(4);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ProjectionOptions {
    pub(super) on_failure: Option<OnFailure>,
    pub(super) retries: Option<u32>,
    pub(super) partitions: Option<u32>,
    pub(super) rebuild: Option<Rebuild>,
    pub(super) begin: Option<Begin>,
}

impl ProjectionOptions {
    /// What happens to an event that cannot be applied.
    pub fn on_failure(self, policy: OnFailure) -> Self {
        Self { on_failure: Some(policy), ..self }
    }

    /// How many times a failing step is retried.
    pub fn max_retries(self, retries: u32) -> Self {
        Self { retries: Some(retries), ..self }
    }

    /// In how many parts the projection runs side by side; 1 unless set. A stream's events are applied in order, in one
    /// part; those of different streams in any order.
    ///
    /// Each part has its own checkpoint and lease, so that several processes may share the parts. The read model must
    /// not depend on the order between streams. It pays off if steps wait, as for a server; a `SQLite` file has one
    /// writer, for which the parts only take turns.
    pub fn partitions(self, count: u32) -> Self {
        Self { partitions: Some(count.max(1)), ..self }
    }

    /// Lets a projection that is new to the store begin after a position, without applying anything before it. If it
    /// lies beyond the head, events up to it are skipped too. By default it begins with the first event, as a rebuild
    /// always does.
    ///
    /// One that has a checkpoint continues from there regardless: the call may stay in the code after the first start.
    pub fn begin_after(self, position: Position) -> Self {
        Self { begin: Some(Begin::After(position)), ..self }
    }

    /// The same with the head that the store first reports after the runner was spawned. What is committed in between
    /// may count as past: if that matters, use `begin_after(store.head().await?)`.
    pub fn begin_now(self) -> Self {
        Self { begin: Some(Begin::Now), ..self }
    }

    /// Rebuilds this read model alone, in place: [`ProjectionRunner::rebuild`](super::ProjectionRunner::rebuild) says
    /// how, and what it asks for.
    pub fn rebuild(self) -> Self {
        Self { rebuild: Some(Rebuild::InPlace), ..self }
    }

    /// Rebuilds this read model alone, beside the old one:
    /// [`ProjectionRunner::rebuild_aside`](super::ProjectionRunner::rebuild_aside) says how, and what it asks for.
    pub fn rebuild_aside(self) -> Self {
        Self { rebuild: Some(Rebuild::Aside), ..self }
    }
}

/// How a read model is rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rebuild {
    InPlace,
    Aside,
}

impl Rebuild {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::InPlace => "in place",
            Self::Aside => "aside",
        }
    }
}

/// Where a projection that is new to the store begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Begin {
    #[default]
    FirstEvent,
    After(Position),
    Now,
}

impl Begin {
    /// The first checkpoint; `head` is where the feed ended when the runner was started.
    pub(super) fn after(self, head: Position) -> Position {
        match self {
            Self::FirstEvent => Position::START,
            Self::After(position) => position,
            Self::Now => head,
        }
    }
}

/// The options of a runner, or of one of its projections.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// `None` if not set.
    pub(super) tracing: Option<bool>,
    pub(super) metrics: bool,
    /// Whether spans link to the contexts stored with their events.
    pub(super) links: bool,
    pub(super) begin: Begin,
    /// Whether of a relay, whose checkpoint this keeps, the gap, whether it runs, retries and lost leases are reported,
    /// and no more.
    pub(super) relay: Option<bool>,
    pub(super) rebuild: Option<Rebuild>,
    pub(super) retries: u32,
    pub(super) on_failure: OnFailure,
    pub(super) partitions: u32,
    /// Events are never applied in batches: what each leads to has a span of its own.
    pub(super) one_by_one: bool,
    pub(super) patience: Duration,
    pub(super) lease: Duration,
    pub(super) owner: Arc<str>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tracing: None,
            metrics: true,
            links: true,
            begin: Begin::default(),
            relay: None,
            rebuild: None,
            retries: RETRIES,
            on_failure: OnFailure::Stop,
            partitions: 1,
            one_by_one: false,
            patience: PATIENCE,
            lease: LEASE,
            owner: this_process().into(),
            clock: clock::system(),
        }
    }
}

/// This process's number, and its machine or container: in each container the first process has the number 1.
fn this_process() -> String {
    let process = format!("process {}", std::process::id());
    match host() {
        Some(host) => format!("{process} on {host}"),
        None => process,
    }
}

/// Its name, where the system tells it without a call of its own.
fn host() -> Option<String> {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = told.or_else(|| ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok()))?;
    let host = host.trim();
    (!host.is_empty()).then(|| host.to_owned())
}

impl Options {
    /// Whether a projection whose macro option, or default, is `own` makes spans. A runner that is switched off does
    /// not even ask; one that is switched on overrides an absent option.
    pub(super) fn traces(&self, own: impl FnOnce() -> Option<bool>) -> bool {
        self.tracing != Some(false) && own().or(self.tracing).unwrap_or(false)
    }

    /// The component as which retries and lost leases are counted, if they are.
    pub(super) fn counted_as(&self) -> Option<&'static str> {
        match self.relay {
            Some(told) => told.then_some("relay"),
            None => self.metrics.then_some("projection"),
        }
    }

    pub(super) fn with(&self, chosen: &ProjectionOptions) -> Self {
        Self {
            retries: chosen.retries.unwrap_or(self.retries),
            on_failure: chosen.on_failure.unwrap_or(self.on_failure),
            partitions: chosen.partitions.unwrap_or(self.partitions),
            rebuild: chosen.rebuild.or(self.rebuild),
            begin: chosen.begin.unwrap_or(self.begin),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In containers everybody was `process 1`.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_owner_of_a_lease_is_a_process_on_a_machine() {
        let host = std::process::Command::new("uname").arg("-n").output().unwrap().stdout;
        let expected = format!("process {} on {}", std::process::id(), String::from_utf8(host).unwrap().trim());
        assert_eq!(&*Options::default().owner, expected);
    }
}
