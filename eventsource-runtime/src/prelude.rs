//! What an application imports: `use eventsource_runtime::prelude::*;`.
//!
//! Its [`Context`] has the name of `anyhow`'s trait, and an import by name hides one by `*`. To have both, import the
//! trait without its name: `use anyhow::Context as _;` is enough for `.context(..)`.

pub use crate::dispatch::{
    CommandBus, Committed, Context, DispatchError, ProcessManagerRunner, QueryBus, QueryError, Reaction, Rejected,
};
pub use crate::projection::{ProjectionError, ProjectionRunner, ProjectionStopped};
pub use crate::snapshot::SnapshotStore;
pub use crate::store::{
    AppendError, EventStore, ExpectedVersion, MemoryStore, Position, StoreError, StreamId, Version,
};
pub use crate::telemetry::{Telemetry, TraceContext, current_span};
// Traits, and the macros of the same names.
pub use crate::{Aggregate, Command, Event, Query};
pub use crate::{Apply, Loaded, Metadata, Recorded, Repository, Sensitive, UpcastError};
pub use crate::{command_handler, process_manager, projection, query_handler, traced};
