//! Process managers, elsewhere called sagas: they follow the feed like projections, and react to events with commands.
//!
//! A process is one run of a manager, such as the shipping of one order. It stores its state as events in a stream of
//! its own, and the commands that it decided on in the same append: they are dispatched from there, so that a crash at
//! any point neither loses nor repeats one. See `docs/decisions/process-manager.md`.

mod chain;
mod letters;
mod pending;
mod process;
mod reacting;
mod reaction;
mod record;
mod rejection;
mod runner;
mod scheduled;
mod store;
mod timer;

pub use chain::ChainTooLong;
pub(super) use chain::reactions;
#[cfg(feature = "testing")]
pub(crate) use reaction::ProcessEvent;
pub use reaction::{IntoReaction, Met, Reaction};
pub(crate) use record::is_own;
pub use rejection::{Rejected, Rejection};
pub use runner::{ManagerDeadLetters, ProcessManagerRunner};
#[cfg(feature = "testing")]
pub(crate) use scheduled::When;

use crate::domain::{Aggregate, StoredEvent};
use crate::projection::ProjectionError;

/// Reacts to events with commands; implemented by `#[process_manager]` on an `impl` block of an aggregate, which is the
/// state of one process.
///
/// Leave implementing it to the macro: minor releases may add methods to it that have no default.
#[doc(alias = "saga")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a process manager",
    note = "put `#[process_manager]` on an `impl {Self}` block whose methods take `&Recorded<Event>`"
)]
pub trait ProcessManager: Aggregate {
    /// The manager's name: it is the key of its checkpoint, and the ids of its commands are derived from it.
    fn name() -> &'static str;

    /// The name of the manager's span: `process_manager.` and its name.
    fn span_name() -> &'static str;

    /// The name of the checkpoint of the manager's timer, before which no event is scheduled any more: `process_timer.`
    /// and the name.
    fn timer_name() -> &'static str;

    /// The name of the lease under which the manager's dead letters are settled, one at a time: `process_letters.` and
    /// the name.
    fn letters_name() -> &'static str;

    /// Whether the manager creates spans; `None` leaves it to the runner, whose default is yes. A runner with tracing
    /// off does not ask.
    #[must_use]
    fn enable_tracing() -> Option<bool> {
        None
    }

    /// The stored names of the events that it reacts to.
    fn event_types() -> Vec<&'static str>;

    /// The process that an event belongs to, and its reaction; `None` if the manager has no method for it.
    ///
    /// # Errors
    /// The event cannot be decoded.
    fn meet(event: &StoredEvent) -> Result<Option<Met<Self>>, ProjectionError>;

    /// How the process reacts to a refusal of one of its commands; empty if the manager has no method for it.
    ///
    /// # Errors
    /// The command cannot be read back, or the method failed.
    fn rejected(&self, rejection: &Rejection) -> Result<Reaction<Self>, ProjectionError>;
}
