//! Commands of a process that their aggregates refused.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "testing")]
use serde::Serialize;
use serde_json::value::RawValue;

#[cfg(feature = "testing")]
use crate::domain::json;
use crate::domain::{Aggregate, Command};
use crate::error::BoxError;
use crate::projection::ProjectionError;

/// A command of a process that its aggregate refused, before its type is known.
pub struct Rejection {
    pub(super) command: Box<RawValue>,
    pub(super) name: String,
    pub(super) error_type: String,
    pub(super) refusal: Arc<BoxError>,
    /// Whether a method of the manager's was given it.
    read: AtomicBool,
}

impl Rejection {
    pub(super) fn new(command: Box<RawValue>, name: String, error_type: String, refusal: BoxError) -> Self {
        Self { command, name, error_type, refusal: Arc::new(refusal), read: AtomicBool::new(false) }
    }

    /// Whether it was read, which a manager does that has a method for it.
    pub(super) fn is_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }

    /// A refusal of a command.
    #[cfg(feature = "testing")]
    pub(crate) fn of<C: Command + Serialize>(
        command: &C,
        refusal: <C::Aggregate as Aggregate>::Error,
    ) -> Result<Self, BoxError> {
        let payload = json::raw(command).map_err(|json::Unwritable { source, .. }| source)?;
        let error_type = crate::error::error_type(&refusal).into_owned();
        Ok(Self::new(payload, C::NAME.to_owned(), error_type, refusal.into()))
    }

    /// Whether the command is a `C`, by its name.
    #[must_use]
    pub fn is<C: Command>(&self) -> bool {
        self.name == C::NAME
    }

    /// Reads the command back.
    ///
    /// # Errors
    /// The command has another name than `C`, or was stored in a form that `C` no longer reads.
    pub fn decode<C: Command>(&self) -> Result<Rejected<C>, ProjectionError> {
        if !self.is::<C>() {
            return Err(ProjectionError::new(format!("the refused command is a `{}`, not a `{}`", self.name, C::NAME)));
        }
        self.read.store(true, Ordering::Relaxed);
        let command = serde_json::from_str(self.command.get())?;
        Ok(Rejected { command, error_type: self.error_type.clone(), refusal: Arc::clone(&self.refusal) })
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Rejection");
        shown.field("command", &self.name).field("error_type", &self.error_type).finish_non_exhaustive()
    }
}

/// A refused command of a process: its fields through `Deref`, and why it was refused.
pub struct Rejected<C> {
    command: C,
    error_type: String,
    refusal: Arc<BoxError>,
}

impl<C> Rejected<C> {
    /// A short, stable name of the refusal: the variant of the aggregate's error.
    pub fn error_type(&self) -> &str {
        &self.error_type
    }
}

impl<C: Command> Rejected<C> {
    /// Why the aggregate refused; `None` if it refused a command of another type than `C` with the same name. A
    /// `Rejected` displays the same in the error's words.
    pub fn refusal(&self) -> Option<&<C::Aggregate as Aggregate>::Error> {
        let refusal: &(dyn Error + Send + Sync + 'static) = &**self.refusal;
        refusal.downcast_ref()
    }
}

impl<C> Deref for Rejected<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.command
    }
}

/// The refusal, in its error's words.
impl<C> fmt::Display for Rejected<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(f)
    }
}

/// Omits the command, which may hold anything.
impl<C> fmt::Debug for Rejected<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("error_type", &self.error_type).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Error;

    use serde::Deserialize;

    use super::*;
    use crate::domain::{AnyEvent, EventDef, EventSet};

    enum Nothing {}

    impl EventSet for Nothing {
        const EVENTS: &'static [EventDef<Self>] = &[];

        fn as_event(&self) -> &dyn AnyEvent {
            match *self {}
        }
    }

    #[derive(Default)]
    struct Parcel;

    impl Aggregate for Parcel {
        const NAME: &'static str = "Parcel";
        type Id = u32;
        type Event = Nothing;
        type Error = Error;

        fn evolve(&mut self, event: Nothing) {
            match event {}
        }
    }

    #[derive(Clone, Deserialize)]
    struct Ship(u32);

    impl Command for Ship {
        const NAME: &'static str = "Ship";
        type Aggregate = Parcel;

        fn id(&self) -> &u32 {
            &self.0
        }
    }

    #[derive(Clone, Deserialize)]
    struct Return(u32);

    impl Command for Return {
        const NAME: &'static str = "Return";
        type Aggregate = Parcel;

        fn id(&self) -> &u32 {
            &self.0
        }
    }

    /// A command of any other type was read whose JSON fitted.
    #[test]
    fn a_refused_command_is_read_as_its_own_type_only() {
        let command = RawValue::from_string("42".to_owned()).expect("it is JSON");
        let refusal: BoxError = Error.into();
        let (name, error_type) = ("Ship".to_owned(), "Lost".to_owned());
        let rejection = Rejection::new(command, name, error_type, refusal);
        let ship = rejection.decode::<Ship>().ok();
        assert_eq!(ship.as_ref().map(|ship| *ship.id()), Some(42));
        assert_eq!(ship.map(|ship| ship.to_string()), Some(Error.to_string()));
        let other = rejection.decode::<Return>().expect_err("it is another command");
        assert_eq!(other.to_string(), "the refused command is a `Ship`, not a `Return`");
    }
}
