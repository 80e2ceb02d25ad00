//! What an application imports: `use eventsource_runtime::prelude::*;`.
