//! Every word of our attributes, once.

/// Helper attributes.
pub(crate) const EVENT: &str = "event";
pub(crate) const AGGREGATE: &str = "aggregate";
pub(crate) const COMMAND: &str = "command";
pub(crate) const QUERY: &str = "query";
pub(crate) const PROJECTION: &str = "projection";
pub(crate) const PROCESS_MANAGER: &str = "process_manager";
pub(crate) const TRACED: &str = "traced";

/// Options of several macros; `aggregate` is an option of commands as well, `event` one of aggregates, and `id` one of
/// a process manager's methods.
pub(crate) const CRATE: &str = "crate";
pub(crate) const NAME: &str = "name";
pub(crate) const ATTRIBUTE: &str = "attribute";
pub(crate) const SENSITIVE: &str = "sensitive";
pub(crate) const ENABLE_TRACING: &str = "enable_tracing";
pub(crate) const ID: &str = "id";

/// Options of events; `version` is one of snapshots as well.
pub(crate) const VERSION: &str = "version";
pub(crate) const ALIAS: &str = "alias";
pub(crate) const UPCAST: &str = "upcast";

/// Options of aggregates; `error` is one of queries as well, and `fault` one of traced functions.
pub(crate) const ERROR: &str = "error";
pub(crate) const FAULT: &str = "fault";
pub(crate) const EVENTS: &str = "events";
pub(crate) const SNAPSHOT: &str = "snapshot";
pub(crate) const EVERY: &str = "every";
pub(crate) const DERIVE: &str = "derive";

/// Options of queries.
pub(crate) const OUTPUT: &str = "output";

/// Options of a projection's methods.
pub(crate) const SETUP: &str = "setup";
pub(crate) const RESET: &str = "reset";

/// Options of traced functions.
pub(crate) const KIND: &str = "kind";
pub(crate) const ATTRIBUTES: &str = "attributes";
pub(crate) const RECORD: &str = "record";
/// The name of the returned value in `record`.
pub(crate) const RESULT: &str = "result";
pub(crate) const LINKS: &str = "links";
pub(crate) const PARENT: &str = "parent";
pub(crate) const ROOT: &str = "root";
pub(crate) const COVERS: &str = "covers";
