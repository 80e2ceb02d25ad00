//! Routes commands to the aggregates that decide on them.

use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::command_span::{Handled, handle, no_handler};
use super::error::DispatchJsonError;
use super::json::{COMMANDS, Known, Payload, Refused, Switches};
use super::routes::Found;
use super::{BoxFuture, Committed, Context, MAX_JSON};
use crate::domain::sealed::Sealed;
use crate::domain::{AnyCommand, Command, Handle, Handlers, Registry};
use crate::error::quoted;
use crate::repository::{Repository, ServicesOf};
use crate::snapshot::SnapshotStore;
use crate::store::EventStore;

type Dispatched<C> = Handled<<C as Command>::Aggregate>;

/// Routes commands to the aggregates that decide on them, each in a `command.{Type}` span.
///
/// Cloning is cheap. See [`CommandBus::dispatch`].
///
/// ```
/// # use eventsource_runtime::prelude::*;
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/account.rs"));
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let accounts = Repository::<Account, _>::new(MemoryStore::new());
/// let commands = CommandBus::builder().aggregate(accounts).build();
///
/// let refused = commands.dispatch(Deposit { account: "ada".into(), cents: 1001 }).await;
/// match refused {
///     Ok(committed) => println!("the account is at version {}", committed.version),
///     Err(DispatchError::Rejected(TooMuch)) => println!("that is too much"),
///     Err(error) if error.conflict().is_some() => println!("others were faster, as often as it was tried"),
///     Err(error) => eprintln!("the store is in trouble: {error}"),
/// }
/// // As it came over the wire.
/// let committed = commands.dispatch_json("Deposit", r#"{"account": "ada", "cents": 5}"#).await?;
/// assert_eq!(committed.version, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CommandBus {
    routes: Arc<Routes>,
    switches: Switches,
}

type Routes = super::routes::Routes<dyn JsonRoute>;

/// Builds a [`CommandBus`].
#[derive(Default)]
#[must_use = "the bus comes out of `build`"]
pub struct CommandBusBuilder {
    routes: Routes,
    /// The types of the aggregates, by their stored names.
    aggregates: HashMap<&'static str, (TypeId, &'static str)>,
    switches: Switches,
}

impl CommandBusBuilder {
    /// Routes every command of the aggregate to its repository, whose services must be of the type that the handlers
    /// borrow.
    ///
    /// That is all that `ServicesOf` says, and it is for the compiler's message alone. A function that is generic over
    /// the aggregate gives services of the type `A::Services`, or is bound by `A: Handlers<Services = ()>`:
    ///
    /// ```
    /// use eventsource_runtime::Handlers;
    /// use eventsource_runtime::dispatch::CommandBusBuilder;
    /// # use eventsource_runtime::prelude::*;
    ///
    /// fn add<A: Handlers>(bus: CommandBusBuilder, store: &MemoryStore, services: A::Services) -> CommandBusBuilder {
    ///     bus.aggregate(Repository::<A, _>::new(store.clone()).with_services(services))
    /// }
    ///
    /// fn add_plain<A: Handlers<Services = ()>>(bus: CommandBusBuilder, store: &MemoryStore) -> CommandBusBuilder {
    ///     bus.aggregate(Repository::<A, _>::new(store.clone()))
    /// }
    /// ```
    ///
    /// # Panics
    /// Another type of aggregate of the bus has the same stored name: in one store they would share their streams. Or
    /// the bus has a repository for this aggregate already. Where each has a store of its own, give each a bus of its
    /// own.
    #[track_caller]
    pub fn aggregate<A: Handlers, S: EventStore + SnapshotStore, V>(mut self, repository: Repository<A, S, V>) -> Self
    where
        A::Services: ServicesOf<A, V>,
    {
        let this = (TypeId::of::<A>(), type_name::<A>());
        if let Some((other, other_name)) = self.aggregates.insert(A::NAME, this) {
            assert!(
                other == this.0,
                "`{}` and `{other_name}` are both stored as `{}`, so that in one store they share their streams; write \
                 `#[aggregate(name = \"..\")]` on one of them",
                this.1,
                A::NAME
            );
            panic!("the bus has two repositories for `{other_name}`; give it one");
        }
        A::register(&mut Registrar { repository: Arc::new(repository.served()), routes: &mut self.routes });
        self
    }

    /// Switches command spans on or off, and every span of ours below them. On by default.
    pub fn enable_tracing(mut self, enabled: bool) -> Self {
        self.switches.tracing = enabled;
        self
    }

    /// Switches command metrics on or off, independently of tracing. On by default.
    pub fn enable_metrics(mut self, enabled: bool) -> Self {
        self.switches.metrics = enabled;
        self
    }

    /// Builds the bus.
    #[must_use]
    pub fn build(self) -> CommandBus {
        CommandBus { routes: Arc::new(self.routes), switches: self.switches }
    }
}

impl CommandBus {
    /// Creates a builder.
    pub fn builder() -> CommandBusBuilder {
        CommandBusBuilder::default()
    }

    /// Handles a command: loads its aggregate, lets it decide, and appends the events.
    ///
    /// Decides again on a conflict with another append, a bounded number of times. The future may be dropped at any
    /// point; then either all of the events have been appended or none of them.
    ///
    /// # Errors
    /// The bus has no repository for the command's aggregate; or the aggregate refused the command, or could not be
    /// loaded; or the events could not be appended.
    pub fn dispatch<C: Command>(&self, command: C) -> BoxFuture<'_, Dispatched<C>>
    where
        C::Aggregate: Handle<C>,
    {
        self.dispatch_with(command, Context::default())
    }

    /// Handles a command that comes with an id, a correlation or metadata.
    ///
    /// # Errors
    /// As [`CommandBus::dispatch`].
    pub fn dispatch_with<C: Command>(&self, command: C, context: Context) -> BoxFuture<'_, Dispatched<C>>
    where
        C::Aggregate: Handle<C>,
    {
        match self.routes.typed::<Box<dyn Route<C>>>() {
            Some(route) => route.dispatch(command, context, self.switches),
            None => Box::pin(async move { Err(no_handler(&command, self.switches)) }),
        }
    }

    /// Handles a command received as JSON, by its name.
    ///
    /// Every command of the bus can be reached by name, including those that only your own program dispatches. If
    /// untrusted callers choose the name, check it first.
    ///
    /// # Errors
    /// No command has this name, or several types have it; the payload does not fit it; or as [`CommandBus::dispatch`].
    pub async fn dispatch_json(
        &self,
        name: &str,
        payload: impl AsRef<[u8]> + Send,
    ) -> Result<Committed, DispatchJsonError> {
        self.dispatch_json_with(name, payload, Context::default()).await
    }

    /// Handles a command received as JSON that comes with an id, a correlation or metadata.
    ///
    /// # Errors
    /// As [`CommandBus::dispatch_json`].
    pub async fn dispatch_json_with(
        &self,
        name: &str,
        payload: impl AsRef<[u8]> + Send,
        context: Context,
    ) -> Result<Committed, DispatchJsonError> {
        self.dispatch_named(name, Payload { json: payload.as_ref(), most: MAX_JSON }, context).await
    }

    /// Handles a command that the program itself has stored, whatever its length.
    pub(super) async fn dispatch_kept(
        &self,
        name: &str,
        json: &[u8],
        context: Context,
    ) -> Result<Committed, DispatchJsonError> {
        self.dispatch_named(name, Payload { json, most: usize::MAX }, context).await
    }

    async fn dispatch_named(
        &self,
        name: &str,
        payload: Payload<'_>,
        context: Context,
    ) -> Result<Committed, DispatchJsonError> {
        match self.routes.find(name) {
            Found::Route(route) => route.dispatch(payload, context, self.switches).await,
            Found::Unknown => {
                let command = quoted(name);
                COMMANDS.unknown(&command, self.switches);
                Err(DispatchJsonError::UnknownCommand { command })
            }
            Found::Ambiguous { name: command, types } => {
                COMMANDS.ambiguous(command, self.switches);
                Err(DispatchJsonError::AmbiguousCommand { command, types })
            }
        }
    }
}

/// Routes one type of command to its repository.
trait Route<C: Command>: Send + Sync {
    fn dispatch(&self, command: C, context: Context, switches: Switches) -> BoxFuture<'_, Dispatched<C>>;
}

impl<A, S, C> Route<C> for Arc<Repository<A, S, A::Services>>
where
    A: Handle<C>,
    S: EventStore + SnapshotStore,
    C: Command<Aggregate = A>,
{
    fn dispatch(&self, command: C, context: Context, switches: Switches) -> BoxFuture<'_, Dispatched<C>> {
        Box::pin(async move { handle(self, &command, &context, switches).await })
    }
}

/// Reads one type of command from JSON and dispatches it.
trait JsonRoute: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        payload: Payload<'a>,
        context: Context,
        switches: Switches,
    ) -> BoxFuture<'a, Result<Committed, DispatchJsonError>>;
}

type Read<A> = fn(&[u8]) -> serde_json::Result<Box<dyn AnyCommand<A>>>;

/// One command of an aggregate, whatever its type.
struct Json<A: Handlers, S> {
    repository: Arc<Repository<A, S, A::Services>>,
    known: Known,
    read: Read<A>,
}

impl<A: Handlers, S: EventStore + SnapshotStore> JsonRoute for Json<A, S> {
    fn dispatch<'a>(
        &'a self,
        payload: Payload<'a>,
        context: Context,
        switches: Switches,
    ) -> BoxFuture<'a, Result<Committed, DispatchJsonError>> {
        let name = self.known.name;
        Box::pin(async move {
            let command = COMMANDS.read(self.known, payload, self.read, switches);
            let command = command.map_err(|refused| refuse(name, refused))?;
            let handled = handle(&self.repository, &*command, &context, switches).await;
            handled.map_err(|error| DispatchJsonError::from_typed(name, error))
        })
    }
}

fn refuse(command: &'static str, refused: Refused) -> DispatchJsonError {
    match refused {
        Refused::TooLarge(size) => DispatchJsonError::TooLarge { command, size },
        Refused::BadPayload(source) => DispatchJsonError::BadPayload { command, source },
    }
}

/// Adds the commands of one aggregate to the routes.
struct Registrar<'a, A: Handlers, S> {
    repository: Arc<Repository<A, S, A::Services>>,
    routes: &'a mut Routes,
}

impl<A: Handlers, S> Sealed for Registrar<'_, A, S> {}

impl<A: Handlers, S: EventStore + SnapshotStore> Registry<A> for Registrar<'_, A, S> {
    fn command<C: Command<Aggregate = A>>(&mut self)
    where
        A: Handle<C>,
    {
        let route: Box<dyn Route<C>> = Box::new(Arc::clone(&self.repository));
        let json = Json {
            repository: Arc::clone(&self.repository),
            known: Known { name: C::NAME, span: C::SPAN, aggregate_type: Some(A::NAME) },
            read: |json| Ok(Box::new(serde_json::from_slice::<C>(json)?)),
        };
        self.routes.insert::<C, _>(C::NAME, route, Box::new(json));
    }
}

impl fmt::Debug for CommandBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandBus").field("commands", &self.routes.sorted()).finish_non_exhaustive()
    }
}

impl fmt::Debug for CommandBusBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandBusBuilder").field("commands", &self.routes.len()).finish_non_exhaustive()
    }
}
