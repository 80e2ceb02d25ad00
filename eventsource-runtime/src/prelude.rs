//! What an application imports: `use eventsource_runtime::prelude::*;`.

pub use crate::dispatch::{CommandBus, Committed, Context, DispatchError, QueryBus, QueryError};
pub use crate::domain::{Aggregate, Apply, Command, Event, Metadata, Query, Recorded, UpcastError};
pub use crate::projection::{ProjectionError, ProjectionRunner, ProjectionStopped};
pub use crate::repository::{Loaded, Repository};
pub use crate::store::{EventStore, ExpectedVersion, MemoryStore, Position, StoreError, StreamId, Version};
pub use crate::telemetry::{Telemetry, TraceContext, current_span};
pub use crate::{command_handler, projection, query_handler, traced};
