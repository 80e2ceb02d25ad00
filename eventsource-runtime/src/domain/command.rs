//! Commands, and how an aggregate handles them.

use std::future::Future;
use std::pin::Pin;

use serde::de::DeserializeOwned;

use super::Aggregate;
use super::sealed::Sealed;
use super::span_name::SpanName;
use crate::telemetry::Attributes;

/// A request to change one aggregate; implemented by `#[derive(Command)]`.
///
/// It can also be implemented by hand: what minor releases add to it has a default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command",
    note = "add `#[derive(Command, Clone, Deserialize)]` and `#[command(aggregate = ..)]` to `{Self}`"
)]
pub trait Command: Clone + DeserializeOwned + Send + Sync + 'static {
    /// The name on the wire, in spans and in metrics.
    const NAME: &'static str;
    /// The name of the command's span: `command.` and its name.
    const SPAN: &'static str = SpanOf::<Self>::NAME.as_str();
    /// The aggregate that decides.
    type Aggregate: Aggregate;

    /// The id of the aggregate.
    fn id(&self) -> &<Self::Aggregate as Aggregate>::Id;

    /// Records the fields named as attributes; nothing else of a command reaches telemetry.
    fn attributes(&self, _attributes: &mut Attributes) {}
}

struct SpanOf<C: ?Sized>(std::marker::PhantomData<C>);

impl<C: Command> SpanOf<C> {
    const NAME: &'static SpanName = &SpanName::new("command", C::NAME);
}

/// The commands that an aggregate handles; implemented by `#[command_handler]`.
///
/// Leave implementing it to the macro: minor releases may add methods to it that have no default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` handles no commands",
    note = "put `#[command_handler]` on an `impl {Self}` block whose methods take commands"
)]
pub trait Handlers: Aggregate {
    /// What the handlers need besides the state; `()` if nothing.
    type Services: Send + Sync + 'static;

    /// Adds every command to the registry.
    fn register<R: Registry<Self>>(registry: &mut R);
}

/// Collects the commands of an aggregate. Sealed: the command bus implements it; users call it only through
/// [`Handlers::register`].
pub trait Registry<A: Handlers>: Sealed {
    /// Adds command `C` of `A`.
    fn command<C: Command<Aggregate = A>>(&mut self)
    where
        A: Handle<C>;
}

/// Decides about one command; implemented by `#[command_handler]` for each method.
///
/// Leave implementing it to the macro: minor releases may add methods to it that have no default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{C}`",
    note = "add a method that takes `{C}` to the `#[command_handler]` block of `{Self}`"
)]
pub trait Handle<C: Command<Aggregate = Self>>: Handlers {
    /// Whether `handle_command` makes a span for this command.
    fn enable_tracing(&self, _command: &C) -> bool {
        true
    }

    /// Records the attributes that the method names for its `handle_command` span.
    fn attributes(&self, _command: &C, _services: &Self::Services, _attributes: &mut Attributes) {}

    /// Returns the events that the command leads to. It changes nothing, and may be called again.
    ///
    /// # Errors
    /// The refusal, or what [`Aggregate::is_fault`] tells apart from one: nothing is appended, and the caller gets it
    /// unchanged.
    fn handle(
        &self,
        command: C,
        services: &Self::Services,
    ) -> impl Future<Output = Result<Vec<Self::Event>, Self::Error>> + Send;
}

/// A command of an aggregate with its type erased: the code that handles commands is compiled once for each aggregate,
/// and each command adds only this.
pub(crate) trait AnyCommand<A: Handlers>: Send + Sync {
    fn name(&self) -> &'static str;
    /// The name of its span.
    fn span(&self) -> &'static str;
    fn id(&self) -> &A::Id;
    fn attributes(&self, attributes: &mut Attributes);
    /// Whether `handle_command` makes a span for it.
    fn enable_tracing(&self, state: &A) -> bool;
    /// The attributes of its `handle_command` span.
    fn handler_attributes(&self, state: &A, services: &A::Services, attributes: &mut Attributes);
    fn decide<'a>(&'a self, state: &'a A, services: &'a A::Services) -> Decision<'a, A>;
}

/// The events that a command leads to, or a refusal.
pub(crate) type Decision<'a, A> =
    Pin<Box<dyn Future<Output = Result<Vec<<A as Aggregate>::Event>, <A as Aggregate>::Error>> + Send + 'a>>;

impl<A: Handle<C>, C: Command<Aggregate = A>> AnyCommand<A> for C {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn span(&self) -> &'static str {
        C::SPAN
    }

    fn id(&self) -> &A::Id {
        Command::id(self)
    }

    fn attributes(&self, attributes: &mut Attributes) {
        Command::attributes(self, attributes);
    }

    fn enable_tracing(&self, state: &A) -> bool {
        state.enable_tracing(self)
    }

    fn handler_attributes(&self, state: &A, services: &A::Services, attributes: &mut Attributes) {
        state.attributes(self, services, attributes);
    }

    fn decide<'a>(&'a self, state: &'a A, services: &'a A::Services) -> Decision<'a, A> {
        Box::pin(state.handle(self.clone(), services))
    }
}
