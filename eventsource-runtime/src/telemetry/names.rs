//! Names of attributes, metrics, spans, span events and log targets, generated from `registry.yaml`; do not edit.

// Attributes

/// `aggregate.type`: the name of the aggregate's type.
pub const AGGREGATE_TYPE: &str = "aggregate.type";
/// `command.status`: how the command ended, `success`, `rejected` or `error`.
pub const COMMAND_STATUS: &str = "command.status";
/// `command.type`: the name of the command; `unknown` if it has no handler.
pub const COMMAND_TYPE: &str = "command.type";
/// `cqrs.command.status`: how the command ended.
pub const CQRS_COMMAND_STATUS: &str = "cqrs.command.status";
/// `cqrs.command.type`: the name of the command.
pub const CQRS_COMMAND_TYPE: &str = "cqrs.command.type";
/// `cqrs.events.count`: how many events the command produced.
pub const CQRS_EVENTS_COUNT: &str = "cqrs.events.count";
/// `cqrs.projection.lag`: seconds from the recording of the first event to its commit in the read model; never negative.
pub const CQRS_PROJECTION_LAG: &str = "cqrs.projection.lag";
/// `cqrs.query.result_count`: how many items the answer holds, if it is a list or an option.
pub const CQRS_QUERY_RESULT_COUNT: &str = "cqrs.query.result_count";
/// `cqrs.query.type`: the name of the query.
pub const CQRS_QUERY_TYPE: &str = "cqrs.query.type";
/// `cqrs.side`: the side of the application.
pub const CQRS_SIDE: &str = "cqrs.side";
/// `db.collection.name`: the table.
pub const DB_COLLECTION_NAME: &str = "db.collection.name";
/// `db.namespace`: the name of the database, if it has one.
pub const DB_NAMESPACE: &str = "db.namespace";
/// `db.operation.batch.size`: how many rows are written together, from 2 up.
pub const DB_OPERATION_BATCH_SIZE: &str = "db.operation.batch.size";
/// `db.operation.name`: the operation.
pub const DB_OPERATION_NAME: &str = "db.operation.name";
/// `db.response.status_code`: the database's code for a failure, the SQLSTATE of PostgreSQL, the extended result code of SQLite.
pub const DB_RESPONSE_STATUS_CODE: &str = "db.response.status_code";
/// `db.system.name`: the database; absent for a store within the process.
pub const DB_SYSTEM_NAME: &str = "db.system.name";
/// `error.type`: the short, stable name of the failure or of the rejection; never its text. On metrics `cancelled` if the future was dropped; they keep 1,000 distinct ones, the rest is `_OTHER`.
pub const ERROR_TYPE: &str = "error.type";
/// `event.type`: the stored name of the event; beyond the first 1,000, `_OTHER`.
pub const EVENT_TYPE: &str = "event.type";
/// `eventsource.aggregate.exists`: whether the aggregate has any events.
pub const EVENTSOURCE_AGGREGATE_EXISTS: &str = "eventsource.aggregate.exists";
/// `eventsource.aggregate.id`: the identifier of the aggregate.
pub const EVENTSOURCE_AGGREGATE_ID: &str = "eventsource.aggregate.id";
/// `eventsource.aggregate.type`: the name of the aggregate's type.
pub const EVENTSOURCE_AGGREGATE_TYPE: &str = "eventsource.aggregate.type";
/// `eventsource.batch.size`: how many events or messages a batch holds, from 2 up.
pub const EVENTSOURCE_BATCH_SIZE: &str = "eventsource.batch.size";
/// `eventsource.blocking.pid`: the database server process whose transaction is blocking.
pub const EVENTSOURCE_BLOCKING_PID: &str = "eventsource.blocking.pid";
/// `eventsource.cancelled`: whether the span ended because its future was dropped before it was done.
pub const EVENTSOURCE_CANCELLED: &str = "eventsource.cancelled";
/// `eventsource.command.id`: the identifier that a command came with, which is the causation of its events.
pub const EVENTSOURCE_COMMAND_ID: &str = "eventsource.command.id";
/// `eventsource.commands.dispatched`: how many commands a process manager dispatched for an event, refused ones included.
pub const EVENTSOURCE_COMMANDS_DISPATCHED: &str = "eventsource.commands.dispatched";
/// `eventsource.component`: the part of the runtime that reports the metric.
pub const EVENTSOURCE_COMPONENT: &str = "eventsource.component";
/// `eventsource.decode.fault`: why a stored event cannot be read: `unknown_type`, `newer`, `no_upcast`, `upcast`, `upcasted` or `payload`, as `DecodeFault` explains.
pub const EVENTSOURCE_DECODE_FAULT: &str = "eventsource.decode.fault";
/// `eventsource.dropped`: how many spans and log records the set-up has lost so far.
pub const EVENTSOURCE_DROPPED: &str = "eventsource.dropped";
/// `eventsource.duration`: how long it took, in seconds.
pub const EVENTSOURCE_DURATION: &str = "eventsource.duration";
/// `eventsource.event.attributes`: what users named on a span event that is a log event, as `key=value`. An exported log record has the attributes themselves.
pub const EVENTSOURCE_EVENT_ATTRIBUTES: &str = "eventsource.event.attributes";
/// `eventsource.event.count`: how many events are appended together; in the log, how many a rebuild applied.
pub const EVENTSOURCE_EVENT_COUNT: &str = "eventsource.event.count";
/// `eventsource.event.id`: the identifier of the event that carried a link's context.
pub const EVENTSOURCE_EVENT_ID: &str = "eventsource.event.id";
/// `eventsource.event.recorded_at`: when the event was recorded, in RFC 3339.
pub const EVENTSOURCE_EVENT_RECORDED_AT: &str = "eventsource.event.recorded_at";
/// `eventsource.event.type`: the stored name of the event.
pub const EVENTSOURCE_EVENT_TYPE: &str = "eventsource.event.type";
/// `eventsource.event.types`: the stored names of the events, in order.
pub const EVENTSOURCE_EVENT_TYPES: &str = "eventsource.event.types";
/// `eventsource.events.dropped`: how many span events were dropped, beyond the 128 that a span keeps.
pub const EVENTSOURCE_EVENTS_DROPPED: &str = "eventsource.events.dropped";
/// `eventsource.events.loaded`: how many events were read.
pub const EVENTSOURCE_EVENTS_LOADED: &str = "eventsource.events.loaded";
/// `eventsource.expected_version`: the version that the stream must have for the append to succeed.
pub const EVENTSOURCE_EXPECTED_VERSION: &str = "eventsource.expected_version";
/// `eventsource.from_position`: the first position that is read or applied.
pub const EVENTSOURCE_FROM_POSITION: &str = "eventsource.from_position";
/// `eventsource.from_version`: the first version that is read.
pub const EVENTSOURCE_FROM_VERSION: &str = "eventsource.from_version";
/// `eventsource.handler.count`: how many subscribers get the message.
pub const EVENTSOURCE_HANDLER_COUNT: &str = "eventsource.handler.count";
/// `eventsource.handler.name`: the method that handles the event; on `event_bus.handle` the name of the group.
pub const EVENTSOURCE_HANDLER_NAME: &str = "eventsource.handler.name";
/// `eventsource.lease.owner`: the runner that has the lease, or had it until now.
pub const EVENTSOURCE_LEASE_OWNER: &str = "eventsource.lease.owner";
/// `eventsource.links.dropped`: how many links were dropped, beyond the 128 that a span keeps.
pub const EVENTSOURCE_LINKS_DROPPED: &str = "eventsource.links.dropped";
/// `eventsource.log.size`: how large the log of a database is, in bytes.
pub const EVENTSOURCE_LOG_SIZE: &str = "eventsource.log.size";
/// `eventsource.message.count`: how many messages the log event covers.
pub const EVENTSOURCE_MESSAGE_COUNT: &str = "eventsource.message.count";
/// `eventsource.outcome`: what became of a message.
pub const EVENTSOURCE_OUTCOME: &str = "eventsource.outcome";
/// `eventsource.position`: the position of the event in the store; of the last one if there are several.
pub const EVENTSOURCE_POSITION: &str = "eventsource.position";
/// `eventsource.projection.checkpoint`: the last position that the projection has processed.
pub const EVENTSOURCE_PROJECTION_CHECKPOINT: &str = "eventsource.projection.checkpoint";
/// `eventsource.projection.name`: the name of the projection.
pub const EVENTSOURCE_PROJECTION_NAME: &str = "eventsource.projection.name";
/// `eventsource.projection.partition`: the partition of the projection, from 0.
pub const EVENTSOURCE_PROJECTION_PARTITION: &str = "eventsource.projection.partition";
/// `eventsource.projection.status`: what became of the events.
pub const EVENTSOURCE_PROJECTION_STATUS: &str = "eventsource.projection.status";
/// `eventsource.rebuild.mode`: where a read model is rebuilt, `in place` or `aside`.
pub const EVENTSOURCE_REBUILD_MODE: &str = "eventsource.rebuild.mode";
/// `eventsource.relay.name`: the name of the relay.
pub const EVENTSOURCE_RELAY_NAME: &str = "eventsource.relay.name";
/// `eventsource.replay`: whether events of the past are applied again.
pub const EVENTSOURCE_REPLAY: &str = "eventsource.replay";
/// `eventsource.retry.count`: how often it was retried.
pub const EVENTSOURCE_RETRY_COUNT: &str = "eventsource.retry.count";
/// `eventsource.setting.hint`: what to write instead.
pub const EVENTSOURCE_SETTING_HINT: &str = "eventsource.setting.hint";
/// `eventsource.setting.name`: the variable of the environment.
pub const EVENTSOURCE_SETTING_NAME: &str = "eventsource.setting.name";
/// `eventsource.setting.value`: its value.
pub const EVENTSOURCE_SETTING_VALUE: &str = "eventsource.setting.value";
/// `eventsource.signal`: what is exported: `traces`, `metrics` or `logs`; several with commas between.
pub const EVENTSOURCE_SIGNAL: &str = "eventsource.signal";
/// `eventsource.snapshot.used`: whether the aggregate was loaded from a snapshot.
pub const EVENTSOURCE_SNAPSHOT_USED: &str = "eventsource.snapshot.used";
/// `eventsource.snapshot.version`: the version of the last event in the snapshot.
pub const EVENTSOURCE_SNAPSHOT_VERSION: &str = "eventsource.snapshot.version";
/// `eventsource.span.name`: the name of the span in which it happened, or which was not made.
pub const EVENTSOURCE_SPAN_NAME: &str = "eventsource.span.name";
/// `eventsource.stream.id`: the identifier of the stream.
pub const EVENTSOURCE_STREAM_ID: &str = "eventsource.stream.id";
/// `eventsource.to_position`: the last position that was read or applied.
pub const EVENTSOURCE_TO_POSITION: &str = "eventsource.to_position";
/// `eventsource.version`: the version of the aggregate, or of the event.
pub const EVENTSOURCE_VERSION: &str = "eventsource.version";
/// `exception.message`: the text of an error and its causes; for an operation's failure only if `record_error_text` asks for it. For an exporter, why it fails, or what the receiver says of items that it rejected.
pub const EXCEPTION_MESSAGE: &str = "exception.message";
/// `messaging.batch.message_count`: how many messages are sent or processed together, from 2 up.
pub const MESSAGING_BATCH_MESSAGE_COUNT: &str = "messaging.batch.message_count";
/// `messaging.consumer.group.name`: the group that shares the messages. Metrics keep 1,000 distinct ones of a process apart; later ones are `_OTHER`.
pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
/// `messaging.destination.name`: the topic; on RabbitMQ `{exchange}:{routing key}`, and for consumers `{exchange}:{routing key}:{queue}`. A bus keeps 1,000 distinct ones; beyond that, for instance if producers put ids into routing keys, it is the exchange alone.
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
/// `messaging.destination.partition.id`: the partition of the topic; for a lag on RabbitMQ the number of the group's queue, and 0 in process.
pub const MESSAGING_DESTINATION_PARTITION_ID: &str = "messaging.destination.partition.id";
/// `messaging.kafka.message.key`: the key of the message, which is the stream's identifier.
pub const MESSAGING_KAFKA_MESSAGE_KEY: &str = "messaging.kafka.message.key";
/// `messaging.kafka.offset`: the offset in the partition.
pub const MESSAGING_KAFKA_OFFSET: &str = "messaging.kafka.offset";
/// `messaging.message.id`: the identifier of the message, which is that of its event.
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
/// `messaging.operation.name`: the operation.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// `messaging.operation.type`: the kind of the operation.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// `messaging.rabbitmq.destination.routing_key`: the routing key, `{aggregate type}.{event type}`.
pub const MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY: &str = "messaging.rabbitmq.destination.routing_key";
/// `messaging.system`: the broker; `in_process` on metrics of the in-process bus, whose spans have none.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// `projection.name`: the name of the projection.
pub const PROJECTION_NAME: &str = "projection.name";
/// `query.status`: how the query ended, `success` or `error`.
pub const QUERY_STATUS: &str = "query.status";
/// `query.type`: the name of the query; `unknown` if it has no handler.
pub const QUERY_TYPE: &str = "query.type";
/// `result`: what became of a snapshot that was looked for. After anything but `hit` every event was replayed.
pub const RESULT: &str = "result";
/// `server.address`: the host of the database or the broker, if there is one.
pub const SERVER_ADDRESS: &str = "server.address";
/// `server.port`: the port of the database or the broker, if there is one.
pub const SERVER_PORT: &str = "server.port";
/// `status`: what became of the events.
pub const STATUS: &str = "status";

// The names that the constants of attributes have elsewhere

/// `db.system.name`
pub const ATTR_DB_SYSTEM: &str = DB_SYSTEM_NAME;
/// `eventsource.aggregate.id`
pub const ATTR_AGGREGATE_ID: &str = EVENTSOURCE_AGGREGATE_ID;
/// `eventsource.aggregate.type`
pub const ATTR_AGGREGATE_TYPE: &str = EVENTSOURCE_AGGREGATE_TYPE;
/// `eventsource.event.count`
pub const ATTR_EVENT_COUNT: &str = EVENTSOURCE_EVENT_COUNT;
/// `eventsource.event.type`
pub const ATTR_EVENT_TYPE: &str = EVENTSOURCE_EVENT_TYPE;
/// `eventsource.version`
pub const ATTR_VERSION: &str = EVENTSOURCE_VERSION;
/// `messaging.system`
pub const ATTR_MESSAGING_SYSTEM: &str = MESSAGING_SYSTEM;

// Metrics

/// `cqrs.command.duration`, in `s`: how long a command took, from dispatch to commit.
pub const CQRS_COMMAND_DURATION: &str = "cqrs.command.duration";
/// `cqrs.command.total`, in `{command}`: commands that ended.
pub const CQRS_COMMAND_TOTAL: &str = "cqrs.command.total";
/// `cqrs.events.produced`, in `{event}`: events that commands produced.
pub const CQRS_EVENTS_PRODUCED: &str = "cqrs.events.produced";
/// `cqrs.query.duration`, in `s`: how long a query took.
pub const CQRS_QUERY_DURATION: &str = "cqrs.query.duration";
/// `cqrs.query.result_size`, in `{item}`: how many items an answer holds, if it is a list or an option.
pub const CQRS_QUERY_RESULT_SIZE: &str = "cqrs.query.result_size";
/// `cqrs.query.total`, in `{query}`: queries that ended.
pub const CQRS_QUERY_TOTAL: &str = "cqrs.query.total";
/// `db.client.operation.duration`, in `s`: how long a call to the database took; in-process stores have none.
pub const DB_CLIENT_OPERATION_DURATION: &str = "db.client.operation.duration";
/// `eventsource.append.conflicts`, in `{conflict}`: appends to a stream whose version was not the expected one.
pub const EVENTSOURCE_APPEND_CONFLICTS: &str = "eventsource.append.conflicts";
/// `eventsource.attributes.cut`, in `{attribute}`: attributes that were cut at 1,024 bytes, or whose expression panicked.
pub const EVENTSOURCE_ATTRIBUTES_CUT: &str = "eventsource.attributes.cut";
/// `eventsource.bus.connected`, in `1`: 1 while every connection to the broker is up, 0 while one is lost; on Kafka, 0 only while no broker can be reached.
pub const EVENTSOURCE_BUS_CONNECTED: &str = "eventsource.bus.connected";
/// `eventsource.clock.skew`, in `{event}`: events whose recording time, by another clock, is after they were applied, and messages whose time of publication, by the publisher's clock or the broker's, is after they came.
pub const EVENTSOURCE_CLOCK_SKEW: &str = "eventsource.clock.skew";
/// `eventsource.consumer.lag`, in `{message}`: messages that a group has not handled yet, per Kafka partition or per queue on RabbitMQ or in process; reported by the member that receives them. On Kafka a message counts as handled once that is committed, about every half second. RabbitMQ is polled every few seconds, from the first message on.
pub const EVENTSOURCE_CONSUMER_LAG: &str = "eventsource.consumer.lag";
/// `eventsource.consumer.running`, in `{subscription}`: 1 until a subscription of the group fails for good; then 0 until it is shut down.
pub const EVENTSOURCE_CONSUMER_RUNNING: &str = "eventsource.consumer.running";
/// `eventsource.context.malformed`, in `{context}`: stored or received contexts that are malformed.
pub const EVENTSOURCE_CONTEXT_MALFORMED: &str = "eventsource.context.malformed";
/// `eventsource.dead_letters`, in `{event}`: events and messages that were dead-lettered because they could not be handled, or `parked` behind one of their stream that was; an `unkeepable` message is left to the broker.
pub const EVENTSOURCE_DEAD_LETTERS: &str = "eventsource.dead_letters";
/// `eventsource.lease.lost`, in `{lease}`: leases that expired and were taken by another before their holder gave them up.
pub const EVENTSOURCE_LEASE_LOST: &str = "eventsource.lease.lost";
/// `eventsource.projection.events`, in `{event}`: events that a projection has processed.
pub const EVENTSOURCE_PROJECTION_EVENTS: &str = "eventsource.projection.events";
/// `eventsource.projection.gap`, in `{position}`: the head of the store minus the projection's checkpoint.
pub const EVENTSOURCE_PROJECTION_GAP: &str = "eventsource.projection.gap";
/// `eventsource.projection.rebuild.progress`, in `1`: the share of the past that a rebuild has applied, from 0 to 1, in place or aside; reported from its start until the runner is stopped.
pub const EVENTSOURCE_PROJECTION_REBUILD_PROGRESS: &str = "eventsource.projection.rebuild.progress";
/// `eventsource.projection.running`, in `{projection}`: 1 until the projection fails for good; then 0 until its runner is shut down.
pub const EVENTSOURCE_PROJECTION_RUNNING: &str = "eventsource.projection.running";
/// `eventsource.relay.gap`, in `{position}`: the head of the store minus the relay's checkpoint.
pub const EVENTSOURCE_RELAY_GAP: &str = "eventsource.relay.gap";
/// `eventsource.relay.running`, in `{relay}`: 1 until the relay fails for good; then 0 until it is shut down.
pub const EVENTSOURCE_RELAY_RUNNING: &str = "eventsource.relay.running";
/// `eventsource.retries`, in `{retry}`: retries; with the component `process_timer` those of what records the scheduled events of process managers.
pub const EVENTSOURCE_RETRIES: &str = "eventsource.retries";
/// `eventsource.snapshot.reads`, in `{read}`: snapshots that loads looked for.
pub const EVENTSOURCE_SNAPSHOT_READS: &str = "eventsource.snapshot.reads";
/// `eventsource.store.active`, in `{call}`: calls to the database that have not been answered, and that somebody still waits for; in-process stores have none.
pub const EVENTSOURCE_STORE_ACTIVE: &str = "eventsource.store.active";
/// `messaging.client.consumed.messages`, in `{message}`: messages that were delivered to a subscriber.
pub const MESSAGING_CLIENT_CONSUMED_MESSAGES: &str = "messaging.client.consumed.messages";
/// `messaging.client.operation.duration`, in `s`: how long it took to send messages, until they were confirmed.
pub const MESSAGING_CLIENT_OPERATION_DURATION: &str = "messaging.client.operation.duration";
/// `messaging.client.sent.messages`, in `{message}`: messages that were sent, or that the broker did not take; messages never attempted do not count.
pub const MESSAGING_CLIENT_SENT_MESSAGES: &str = "messaging.client.sent.messages";
/// `messaging.process.duration`, in `s`: how long a subscriber took to handle a message or a batch, per attempt.
pub const MESSAGING_PROCESS_DURATION: &str = "messaging.process.duration";
/// `otel.sdk.processor.log.processed`, in `{log_record}`: log records that were exported, or were lost because the queue was full (`queue_full`) or the exporter failed (`export_failed`); after three failures in a row it pauses for 100 ms, twice as long after each further one, up to 1.6 s, and what is logged meanwhile is lost too.
pub const OTEL_SDK_PROCESSOR_LOG_PROCESSED: &str = "otel.sdk.processor.log.processed";
/// `otel.sdk.processor.span.processed`, in `{span}`: spans that were exported, or were lost because the queue was full (`queue_full`) or the exporter failed (`export_failed`); after three failures in a row it pauses for 100 ms, twice as long after each further one, up to 1.6 s, and what ends or begins meanwhile is lost too.
pub const OTEL_SDK_PROCESSOR_SPAN_PROCESSED: &str = "otel.sdk.processor.span.processed";

// Spans: whole names, or what stands before the part that varies

/// `command.{CommandType}`: one command, from dispatch to commit. One without a handler is `command.unknown`.
pub const COMMAND_PREFIX: &str = "command.";
/// `load_aggregate`: the aggregate's state is rebuilt from its events.
pub const LOAD_AGGREGATE: &str = "load_aggregate";
/// `handle_command`: the command's handler decides; only your code.
pub const HANDLE_COMMAND: &str = "handle_command";
/// `persist_events`: the events are written. Its context is stored with each of them.
pub const PERSIST_EVENTS: &str = "persist_events";
/// `aggregate_exists`: whether an aggregate has any events.
pub const AGGREGATE_EXISTS: &str = "aggregate_exists";
/// `create_snapshot`: a snapshot is created by hand.
pub const CREATE_SNAPSHOT: &str = "create_snapshot";
/// `event_store.append`: the store appends events to a stream.
pub const EVENT_STORE_APPEND: &str = "event_store.append";
/// `event_store.load`: the store reads a stream.
pub const EVENT_STORE_LOAD: &str = "event_store.load";
/// `event_store.read_all`: the store reads a page of all events. An empty page makes no span.
pub const EVENT_STORE_READ_ALL: &str = "event_store.read_all";
/// `snapshot_store.save`: a snapshot is written, in the background after the command that made it due, or by `create_snapshot`.
pub const SNAPSHOT_STORE_SAVE: &str = "snapshot_store.save";
/// `snapshot_store.get`: a load reads the snapshot that it starts from.
pub const SNAPSHOT_STORE_GET: &str = "snapshot_store.get";
/// `snapshot_store.exists`: whether there is a snapshot of an aggregate.
pub const SNAPSHOT_STORE_EXISTS: &str = "snapshot_store.exists";
/// `snapshot_store.delete`: the snapshot of an aggregate is deleted, or those of all aggregates of a type.
pub const SNAPSHOT_STORE_DELETE: &str = "snapshot_store.delete";
/// `query.{QueryType}`: one query. One without a handler is `query.unknown`.
pub const QUERY_PREFIX: &str = "query.";
/// `projection.{Name}`: a projection applies an event, or a batch of them while it catches up or is rebuilt. It is off unless the projection or its runner switches it on.
pub const PROJECTION_PREFIX: &str = "projection.";
/// `process_manager.{Name}`: a process manager reacts to an event: the commands that it dispatches are children of the span.
pub const PROCESS_MANAGER_PREFIX: &str = "process_manager.";
/// `handler.{method}`: a method of a traced projection handles an event, while the projection is live.
pub const HANDLER_PREFIX: &str = "handler.";
/// `event_bus.publish`: messages are handed to the in-process subscribers.
pub const EVENT_BUS_PUBLISH: &str = "event_bus.publish";
/// `event_bus.handle`: an in-process subscriber handles a message, or a batch of them.
pub const EVENT_BUS_HANDLE: &str = "event_bus.handle";
/// `send {destination}`: messages are sent to a broker, until it has confirmed them.
pub const SEND_PREFIX: &str = "send ";
/// `process {destination}`: a subscriber handles a message from a broker, or a batch of them; one span per attempt.
pub const PROCESS_PREFIX: &str = "process ";

// Span events

/// `domain_event_produced`: the handler decided on an event.
pub const DOMAIN_EVENT_PRODUCED: &str = "domain_event_produced";
/// `event_persisted`: an event was written.
pub const EVENT_PERSISTED: &str = "event_persisted";

// Log targets

/// `eventsource::bus`: failed, retried, dead-lettered, not settled, dead letter not stored, subscription stopped.
pub const LOG_BUS: &str = "eventsource::bus";
/// `eventsource::bus::in_process`: failed, retried, dead-lettered, not settled, dead letter not stored, subscription stopped.
pub const LOG_IN_PROCESS: &str = "eventsource::bus::in_process";
/// `eventsource::bus::kafka`: failed, retried, dead-lettered, not settled, dead letter not stored, subscription stopped, connected again, no broker answers, a client failed and tries again, a permission that was missing is there again, a commit failed, publications were cut off and are made again, messages were deleted before they were handled, partitions handed over while messages were being handled.
pub const LOG_KAFKA: &str = "eventsource::bus::kafka";
/// `eventsource::bus::rabbitmq`: failed, retried, dead-lettered, not settled, dead letter not stored, subscription stopped, connected, connection lost, publishing is held up by the broker, waits for the broker, the broker knows of no consumer, and the group consumes anew.
pub const LOG_RABBITMQ: &str = "eventsource::bus::rabbitmq";
/// `eventsource::command`: failed, conflict, rejected, retried after a conflict, slow.
pub const LOG_COMMAND: &str = "eventsource::command";
/// `eventsource::projection`: failed, retried, stopped, a batch has not ended, skipped, dead-lettered, timeout left until the next start, refused, and the manager has no method for it, waits for the lease of another, takes over from another, takes over an expired lease, rebuild begins, rebuilt, rebuild waits for the lease of another, lease lost to another.
pub const LOG_PROJECTION: &str = "eventsource::projection";
/// `eventsource::query`: failed, slow.
pub const LOG_QUERY: &str = "eventsource::query";
/// `eventsource::snapshot`: not written.
pub const LOG_SNAPSHOT: &str = "eventsource::snapshot";
/// `eventsource::span`: failed.
pub const LOG_SPAN: &str = "eventsource::span";
/// `eventsource::span_event`: `domain_event_produced`, `event_persisted`.
pub const LOG_SPAN_EVENT: &str = "eventsource::span_event";
/// `eventsource::store`: failed, conflict, slow.
pub const LOG_STORE: &str = "eventsource::store";
/// `eventsource::store::memory`: failed, conflict.
pub const LOG_MEMORY: &str = "eventsource::store::memory";
/// `eventsource::store::postgres`: failed, conflict, slow, an append waits, not told of new events; connecting again, told of new events again.
pub const LOG_POSTGRES: &str = "eventsource::store::postgres";
/// `eventsource::store::sqlite`: failed, conflict, slow, the log grows and cannot be emptied, the file was moved or deleted.
pub const LOG_SQLITE: &str = "eventsource::store::sqlite";
/// `eventsource::telemetry`: setting ignored, telemetry is lost, export works again.
pub const LOG_TELEMETRY: &str = "eventsource::telemetry";

/// What a metric counts or measures; empty for any other name.
#[must_use]
pub fn description(metric: &str) -> &'static str {
    match metric {
        CQRS_COMMAND_DURATION => "How long a command took, from dispatch to commit.",
        CQRS_COMMAND_TOTAL => "Commands that ended.",
        CQRS_EVENTS_PRODUCED => "Events that commands produced.",
        CQRS_PROJECTION_LAG => {
            "Time from the recording of an event to its commit in the read model, except in a rebuild; never negative."
        }
        CQRS_QUERY_DURATION => "How long a query took.",
        CQRS_QUERY_RESULT_SIZE => "How many items an answer holds, if it is a list or an option.",
        CQRS_QUERY_TOTAL => "Queries that ended.",
        DB_CLIENT_OPERATION_DURATION => "How long a call to the database took; in-process stores have none.",
        EVENTSOURCE_APPEND_CONFLICTS => "Appends to a stream whose version was not the expected one.",
        EVENTSOURCE_ATTRIBUTES_CUT => "Attributes that were cut at 1,024 bytes, or whose expression panicked.",
        EVENTSOURCE_BUS_CONNECTED => {
            "1 while every connection to the broker is up, 0 while one is lost; on Kafka, 0 only while no broker can be reached."
        }
        EVENTSOURCE_CLOCK_SKEW => {
            "Events whose recording time, by another clock, is after they were applied, and messages whose time of publication, by the publisher's clock or the broker's, is after they came."
        }
        EVENTSOURCE_CONSUMER_LAG => {
            "Messages that a group has not handled yet, per Kafka partition or per queue on RabbitMQ or in process; reported by the member that receives them. On Kafka a message counts as handled once that is committed, about every half second. RabbitMQ is polled every few seconds, from the first message on."
        }
        EVENTSOURCE_CONSUMER_RUNNING => {
            "1 until a subscription of the group fails for good; then 0 until it is shut down."
        }
        EVENTSOURCE_CONTEXT_MALFORMED => "Stored or received contexts that are malformed.",
        EVENTSOURCE_DEAD_LETTERS => {
            "Events and messages that were dead-lettered because they could not be handled, or `parked` behind one of their stream that was; an `unkeepable` message is left to the broker."
        }
        EVENTSOURCE_EVENTS_LOADED => "Events read to rebuild an aggregate.",
        EVENTSOURCE_LEASE_LOST => "Leases that expired and were taken by another before their holder gave them up.",
        EVENTSOURCE_PROJECTION_EVENTS => "Events that a projection has processed.",
        EVENTSOURCE_PROJECTION_GAP => "The head of the store minus the projection's checkpoint.",
        EVENTSOURCE_PROJECTION_REBUILD_PROGRESS => {
            "The share of the past that a rebuild has applied, from 0 to 1, in place or aside; reported from its start until the runner is stopped."
        }
        EVENTSOURCE_PROJECTION_RUNNING => {
            "1 until the projection fails for good; then 0 until its runner is shut down."
        }
        EVENTSOURCE_RELAY_GAP => "The head of the store minus the relay's checkpoint.",
        EVENTSOURCE_RELAY_RUNNING => "1 until the relay fails for good; then 0 until it is shut down.",
        EVENTSOURCE_RETRIES => {
            "Retries; with the component `process_timer` those of what records the scheduled events of process managers."
        }
        EVENTSOURCE_SNAPSHOT_READS => "Snapshots that loads looked for.",
        EVENTSOURCE_STORE_ACTIVE => {
            "Calls to the database that have not been answered, and that somebody still waits for; in-process stores have none."
        }
        MESSAGING_CLIENT_CONSUMED_MESSAGES => "Messages that were delivered to a subscriber.",
        MESSAGING_CLIENT_OPERATION_DURATION => "How long it took to send messages, until they were confirmed.",
        MESSAGING_CLIENT_SENT_MESSAGES => {
            "Messages that were sent, or that the broker did not take; messages never attempted do not count."
        }
        MESSAGING_PROCESS_DURATION => "How long a subscriber took to handle a message or a batch, per attempt.",
        OTEL_SDK_PROCESSOR_LOG_PROCESSED => {
            "Log records that were exported, or were lost because the queue was full (`queue_full`) or the exporter failed (`export_failed`); after three failures in a row it pauses for 100 ms, twice as long after each further one, up to 1.6 s, and what is logged meanwhile is lost too."
        }
        OTEL_SDK_PROCESSOR_SPAN_PROCESSED => {
            "Spans that were exported, or were lost because the queue was full (`queue_full`) or the exporter failed (`export_failed`); after three failures in a row it pauses for 100 ms, twice as long after each further one, up to 1.6 s, and what ends or begins meanwhile is lost too."
        }
        _ => "",
    }
}
