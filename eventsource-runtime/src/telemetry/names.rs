//! Names of attributes, metrics and span events, generated from `registry.yaml`; do not edit.

/// `aggregate.type`
pub const AGGREGATE_TYPE: &str = "aggregate.type";
/// `command.status`
pub const COMMAND_STATUS: &str = "command.status";
/// `command.type`
pub const COMMAND_TYPE: &str = "command.type";
/// `cqrs.command.duration`
pub const CQRS_COMMAND_DURATION: &str = "cqrs.command.duration";
/// `cqrs.command.status`
pub const CQRS_COMMAND_STATUS: &str = "cqrs.command.status";
/// `cqrs.command.total`
pub const CQRS_COMMAND_TOTAL: &str = "cqrs.command.total";
/// `cqrs.command.type`
pub const CQRS_COMMAND_TYPE: &str = "cqrs.command.type";
/// `cqrs.events.count`
pub const CQRS_EVENTS_COUNT: &str = "cqrs.events.count";
/// `cqrs.events.produced`
pub const CQRS_EVENTS_PRODUCED: &str = "cqrs.events.produced";
/// `cqrs.projection.lag`
pub const CQRS_PROJECTION_LAG: &str = "cqrs.projection.lag";
/// `cqrs.query.duration`
pub const CQRS_QUERY_DURATION: &str = "cqrs.query.duration";
/// `cqrs.query.result_count`
pub const CQRS_QUERY_RESULT_COUNT: &str = "cqrs.query.result_count";
/// `cqrs.query.result_size`
pub const CQRS_QUERY_RESULT_SIZE: &str = "cqrs.query.result_size";
/// `cqrs.query.total`
pub const CQRS_QUERY_TOTAL: &str = "cqrs.query.total";
/// `cqrs.query.type`
pub const CQRS_QUERY_TYPE: &str = "cqrs.query.type";
/// `cqrs.side`
pub const CQRS_SIDE: &str = "cqrs.side";
/// `db.client.operation.duration`
pub const DB_CLIENT_OPERATION_DURATION: &str = "db.client.operation.duration";
/// `db.collection.name`
pub const DB_COLLECTION_NAME: &str = "db.collection.name";
/// `db.operation.batch.size`
pub const DB_OPERATION_BATCH_SIZE: &str = "db.operation.batch.size";
/// `db.operation.name`
pub const DB_OPERATION_NAME: &str = "db.operation.name";
/// `db.system.name`
pub const DB_SYSTEM_NAME: &str = "db.system.name";
/// `domain_event_produced`
pub const DOMAIN_EVENT_PRODUCED: &str = "domain_event_produced";
/// `error.type`
pub const ERROR_TYPE: &str = "error.type";
/// `event.type`
pub const EVENT_TYPE: &str = "event.type";
/// `event_persisted`
pub const EVENT_PERSISTED: &str = "event_persisted";
/// `eventsource.aggregate.id`
pub const EVENTSOURCE_AGGREGATE_ID: &str = "eventsource.aggregate.id";
/// `eventsource.aggregate.type`
pub const EVENTSOURCE_AGGREGATE_TYPE: &str = "eventsource.aggregate.type";
/// `eventsource.append.conflicts`
pub const EVENTSOURCE_APPEND_CONFLICTS: &str = "eventsource.append.conflicts";
/// `eventsource.attributes.cut`
pub const EVENTSOURCE_ATTRIBUTES_CUT: &str = "eventsource.attributes.cut";
/// `eventsource.batch.size`
pub const EVENTSOURCE_BATCH_SIZE: &str = "eventsource.batch.size";
/// `eventsource.cancelled`
pub const EVENTSOURCE_CANCELLED: &str = "eventsource.cancelled";
/// `eventsource.clock.skew`
pub const EVENTSOURCE_CLOCK_SKEW: &str = "eventsource.clock.skew";
/// `eventsource.component`
pub const EVENTSOURCE_COMPONENT: &str = "eventsource.component";
/// `eventsource.context.malformed`
pub const EVENTSOURCE_CONTEXT_MALFORMED: &str = "eventsource.context.malformed";
/// `eventsource.event.count`
pub const EVENTSOURCE_EVENT_COUNT: &str = "eventsource.event.count";
/// `eventsource.event.id`
pub const EVENTSOURCE_EVENT_ID: &str = "eventsource.event.id";
/// `eventsource.event.recorded_at`
pub const EVENTSOURCE_EVENT_RECORDED_AT: &str = "eventsource.event.recorded_at";
/// `eventsource.event.type`
pub const EVENTSOURCE_EVENT_TYPE: &str = "eventsource.event.type";
/// `eventsource.event.types`
pub const EVENTSOURCE_EVENT_TYPES: &str = "eventsource.event.types";
/// `eventsource.events.loaded`
pub const EVENTSOURCE_EVENTS_LOADED: &str = "eventsource.events.loaded";
/// `eventsource.expected_version`
pub const EVENTSOURCE_EXPECTED_VERSION: &str = "eventsource.expected_version";
/// `eventsource.from_position`
pub const EVENTSOURCE_FROM_POSITION: &str = "eventsource.from_position";
/// `eventsource.from_version`
pub const EVENTSOURCE_FROM_VERSION: &str = "eventsource.from_version";
/// `eventsource.handler.name`
pub const EVENTSOURCE_HANDLER_NAME: &str = "eventsource.handler.name";
/// `eventsource.links.dropped`
pub const EVENTSOURCE_LINKS_DROPPED: &str = "eventsource.links.dropped";
/// `eventsource.position`
pub const EVENTSOURCE_POSITION: &str = "eventsource.position";
/// `eventsource.projection.events`
pub const EVENTSOURCE_PROJECTION_EVENTS: &str = "eventsource.projection.events";
/// `eventsource.projection.gap`
pub const EVENTSOURCE_PROJECTION_GAP: &str = "eventsource.projection.gap";
/// `eventsource.projection.name`
pub const EVENTSOURCE_PROJECTION_NAME: &str = "eventsource.projection.name";
/// `eventsource.projection.status`
pub const EVENTSOURCE_PROJECTION_STATUS: &str = "eventsource.projection.status";
/// `eventsource.replay`
pub const EVENTSOURCE_REPLAY: &str = "eventsource.replay";
/// `eventsource.retries`
pub const EVENTSOURCE_RETRIES: &str = "eventsource.retries";
/// `eventsource.retry.count`
pub const EVENTSOURCE_RETRY_COUNT: &str = "eventsource.retry.count";
/// `eventsource.snapshot.used`
pub const EVENTSOURCE_SNAPSHOT_USED: &str = "eventsource.snapshot.used";
/// `eventsource.snapshot.version`
pub const EVENTSOURCE_SNAPSHOT_VERSION: &str = "eventsource.snapshot.version";
/// `eventsource.stream.id`
pub const EVENTSOURCE_STREAM_ID: &str = "eventsource.stream.id";
/// `eventsource.to_position`
pub const EVENTSOURCE_TO_POSITION: &str = "eventsource.to_position";
/// `eventsource.version`
pub const EVENTSOURCE_VERSION: &str = "eventsource.version";
/// `projection.name`
pub const PROJECTION_NAME: &str = "projection.name";
/// `query.status`
pub const QUERY_STATUS: &str = "query.status";
/// `query.type`
pub const QUERY_TYPE: &str = "query.type";
/// `server.address`
pub const SERVER_ADDRESS: &str = "server.address";
/// `server.port`
pub const SERVER_PORT: &str = "server.port";
/// `status`
pub const STATUS: &str = "status";
/// `eventsource::command`
pub const LOG_COMMAND: &str = "eventsource::command";
/// `eventsource::projection`
pub const LOG_PROJECTION: &str = "eventsource::projection";
/// `eventsource::span`
pub const LOG_SPAN: &str = "eventsource::span";
/// `eventsource::telemetry`
pub const LOG_TELEMETRY: &str = "eventsource::telemetry";
/// `eventsource.aggregate.exists`
pub const EVENTSOURCE_AGGREGATE_EXISTS: &str = "eventsource.aggregate.exists";
