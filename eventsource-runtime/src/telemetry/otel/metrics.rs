//! The instruments, and one function for each fact that they count. Attribute values are names from a closed set, or
//! from a bounded one: no function takes an id.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use super::gauges;
pub(crate) use super::gauges::{Gap, Told};
use super::observed::MeterId;
use super::pipeline::Active;
use super::store_calls::StoreCalls;
pub(crate) use super::store_calls::Waiting;
use super::{foreign, messaging, processed, toggle};
use crate::store::{Fault, StoreInfo, status_code};
use crate::telemetry::names::description;
use crate::telemetry::{BoundedNames, log, names};

/// From when on commands, queries and calls to a store are logged as slow, by default.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// Bounds of durations, in seconds: from a tenth of a millisecond to ten seconds.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// The bounds that the conventions recommend for calls to databases.
const DATABASE: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];
/// Bounds of lags, in seconds: up to a day behind.
const LAGS: [f64; 14] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 3600.0, 21_600.0, 86_400.0];
/// Bounds of counts.
const COUNTS: [f64; 12] = [0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0, 10_000.0, 100_000.0];

/// Every instrument of the crate, created from one meter.
pub(super) struct Instruments {
    command_duration: Histogram<f64>,
    command_total: Counter<u64>,
    events_produced: Counter<u64>,
    query_duration: Histogram<f64>,
    query_total: Counter<u64>,
    query_result_size: Histogram<u64>,
    projection_lag: Histogram<f64>,
    projection_events: Counter<u64>,
    events_loaded: Histogram<u64>,
    append_conflicts: Counter<u64>,
    snapshot_reads: Counter<u64>,
    retries: Counter<u64>,
    dead_letters: Counter<u64>,
    lease_lost: Counter<u64>,
    clock_skew: Counter<u64>,
    context_malformed: Counter<u64>,
    attributes_cut: Counter<u64>,
    db_operation_duration: Histogram<f64>,
    pub(super) messaging_operation_duration: Histogram<f64>,
    pub(super) sent_messages: Counter<u64>,
    pub(super) process_duration: Histogram<f64>,
    pub(super) consumed_messages: Counter<u64>,
    store_calls: Arc<StoreCalls>,
    /// Whose gauges they are.
    pub(super) meter_id: MeterId,
    event_types: BoundedNames,
    error_types: BoundedNames,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, unit: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(description(name)).build()
        };
        let seconds = |name: &'static str, bounds: &[f64]| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description(name));
            histogram.with_boundaries(bounds.to_vec()).build()
        };
        let counts = |name: &'static str, unit: &'static str| {
            let histogram = meter.u64_histogram(name).with_unit(unit).with_description(description(name));
            histogram.with_boundaries(COUNTS.to_vec()).build()
        };
        Self {
            command_duration: seconds(names::CQRS_COMMAND_DURATION, &SECONDS),
            command_total: counter(names::CQRS_COMMAND_TOTAL, "{command}"),
            events_produced: counter(names::CQRS_EVENTS_PRODUCED, "{event}"),
            query_duration: seconds(names::CQRS_QUERY_DURATION, &SECONDS),
            query_total: counter(names::CQRS_QUERY_TOTAL, "{query}"),
            query_result_size: counts(names::CQRS_QUERY_RESULT_SIZE, "{item}"),
            projection_lag: seconds(names::CQRS_PROJECTION_LAG, &LAGS),
            projection_events: counter(names::EVENTSOURCE_PROJECTION_EVENTS, "{event}"),
            events_loaded: counts(names::EVENTSOURCE_EVENTS_LOADED, "{event}"),
            append_conflicts: counter(names::EVENTSOURCE_APPEND_CONFLICTS, "{conflict}"),
            snapshot_reads: counter(names::EVENTSOURCE_SNAPSHOT_READS, "{read}"),
            retries: counter(names::EVENTSOURCE_RETRIES, "{retry}"),
            dead_letters: counter(names::EVENTSOURCE_DEAD_LETTERS, "{event}"),
            lease_lost: counter(names::EVENTSOURCE_LEASE_LOST, "{lease}"),
            clock_skew: counter(names::EVENTSOURCE_CLOCK_SKEW, "{event}"),
            context_malformed: counter(names::EVENTSOURCE_CONTEXT_MALFORMED, "{context}"),
            attributes_cut: counter(names::EVENTSOURCE_ATTRIBUTES_CUT, "{attribute}"),
            db_operation_duration: seconds(names::DB_CLIENT_OPERATION_DURATION, &DATABASE),
            messaging_operation_duration: seconds(names::MESSAGING_CLIENT_OPERATION_DURATION, &messaging::BOUNDS),
            sent_messages: counter(names::MESSAGING_CLIENT_SENT_MESSAGES, "{message}"),
            process_duration: seconds(names::MESSAGING_PROCESS_DURATION, &messaging::BOUNDS),
            consumed_messages: counter(names::MESSAGING_CLIENT_CONSUMED_MESSAGES, "{message}"),
            store_calls: Arc::default(),
            meter_id: MeterId::default(),
            event_types: BoundedNames::default(),
            error_types: BoundedNames::default(),
        }
    }

    /// Has the meter observe the gauges as well. Without a reader, it calls each of these a mistake.
    pub(super) fn observing(self, meter: &Meter) -> Self {
        gauges::make(meter, &self.meter_id);
        messaging::make(meter, &self.meter_id);
        processed::make(meter, &self.meter_id);
        self.store_calls.observe(meter);
        self
    }

    fn event_type(&self, name: &str) -> KeyValue {
        KeyValue::new(names::EVENT_TYPE, self.event_types.or_other(name).to_owned())
    }

    pub(super) fn error_type(&self, name: &str) -> KeyValue {
        KeyValue::new(names::ERROR_TYPE, self.error_types.or_other(name).to_owned())
    }
}

impl fmt::Debug for Instruments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instruments")
    }
}

/// Whether nothing is measured here, whoever might read it.
pub(super) fn are_off() -> bool {
    toggle::metrics_are_off() || !toggle::has_context()
}

pub(super) fn with(record: impl FnOnce(&Instruments)) {
    measure(|instruments, _| instruments.map_or((), record));
}

/// Also passes the threshold from which measurements are logged as slow, even if nobody reads them.
fn measure<T: Default>(record: impl FnOnce(Option<&Instruments>, Duration) -> T) -> T {
    if are_off() {
        return T::default();
    }
    let active = Active::current();
    match active.measuring() {
        Some(pipeline) if !pipeline.metered => T::default(),
        Some(pipeline) => record(Some(&pipeline.instruments), pipeline.slow),
        None => foreign::measuring(|instruments| {
            let slow = match active.pipeline() {
                Some(pipeline) if pipeline.metered || instruments.is_some_and(|it| it.meter_id.is_read()) => {
                    pipeline.slow
                }
                Some(_) => Duration::MAX,
                None => SLOW,
            };
            record(instruments, slow)
        }),
    }
}

/// Whether measurements here are read, or logged if slow, for a component that has its metrics on.
pub(crate) fn are_read(enabled: bool) -> bool {
    enabled && measure(|instruments, slow| instruments.is_some() || slow < Duration::MAX && log::slowness_is_told())
}

/// Whether somebody reads measurements here.
pub(crate) fn are_recorded() -> bool {
    measure(|instruments, _| instruments.is_some())
}

/// Whether somebody reads gauges here: keeping one may take a query.
pub(crate) fn gauges_are_read() -> bool {
    measure(|instruments, _| instruments.is_some_and(|instruments| instruments.meter_id.is_read()))
}

/// Whether gauges belong to where the process's measurements go. This asks nothing of OpenTelemetry's globals, which
/// are locked while a replaced provider makes its last export: if others have replaced theirs, the next measurement
/// notices.
pub(super) fn are_of_process(meter_id: &MeterId) -> bool {
    match Active::of_process().measuring() {
        Some(pipeline) => pipeline.instruments.meter_id.is(meter_id),
        None => foreign::has(meter_id),
    }
}

/// The current time, if somebody reads how long what begins now will take.
pub(crate) fn begun(enabled: bool) -> Option<Instant> {
    are_read(enabled).then(Instant::now)
}

fn side(side: &'static str) -> KeyValue {
    KeyValue::new(names::CQRS_SIDE, side)
}

fn by(component: &'static str) -> KeyValue {
    KeyValue::new(names::EVENTSOURCE_COMPONENT, component)
}

/// A kind of message, how it ended, and the failure's name if it failed.
pub(crate) struct Ended<'a> {
    pub(crate) name: &'static str,
    pub(crate) status: &'static str,
    pub(crate) error_type: Option<&'a str>,
    pub(crate) elapsed: Duration,
}

impl Ended<'_> {
    fn attributes(
        &self,
        instruments: &Instruments,
        at: &'static str,
        type_key: &'static str,
        status_key: &'static str,
    ) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(4);
        attributes.push(side(at));
        attributes.push(KeyValue::new(type_key, self.name));
        attributes.push(KeyValue::new(status_key, self.status));
        if let Some(error_type) = self.error_type {
            attributes.push(instruments.error_type(error_type));
        }
        attributes
    }
}

/// `aggregate` is the id of the aggregate that it was for, if that is at hand; no measurement has it.
pub(crate) fn command(ended: &Ended<'_>, events: u64, aggregate: Option<&dyn Fn() -> String>) {
    measure(|instruments, slow_from| {
        if let Some(instruments) = instruments {
            let attributes = ended.attributes(instruments, "write", names::COMMAND_TYPE, names::COMMAND_STATUS);
            instruments.command_duration.record(ended.elapsed.as_secs_f64(), &attributes);
            instruments.command_total.add(1, &attributes);
            if events > 0 {
                instruments.events_produced.add(events, &attributes[..2]);
            }
        }
        if ended.elapsed >= slow_from {
            log::command_slow(ended.name, aggregate, ended.elapsed);
        }
    });
}

pub(crate) fn query(ended: &Ended<'_>, results: Option<usize>) {
    measure(|instruments, slow_from| {
        if let Some(instruments) = instruments {
            let attributes = ended.attributes(instruments, "read", names::QUERY_TYPE, names::QUERY_STATUS);
            instruments.query_duration.record(ended.elapsed.as_secs_f64(), &attributes);
            instruments.query_total.add(1, &attributes);
            if let Some(results) = results {
                instruments.query_result_size.record(results as u64, &attributes[..2]);
            }
        }
        if ended.elapsed >= slow_from {
            log::query_slow(ended.name, ended.elapsed);
        }
    });
}

/// By another clock, something happened before its cause.
pub(super) fn skew(component: &'static str) {
    with(|instruments| skewed(instruments, component));
}

fn skewed(instruments: &Instruments, component: &'static str) {
    instruments.clock_skew.add(1, &[by(component)]);
}

/// How far behind each event a projection was when it finished it, with the events' types. A negative lag counts as
/// none, and as skew.
pub(crate) fn projection_lag<'a>(projection: &'static str, lags: impl Iterator<Item = (&'a str, f64)>) {
    with(|instruments| {
        let event_type = KeyValue::new(names::EVENT_TYPE, "");
        let mut attributes = [side("projection"), KeyValue::new(names::PROJECTION_NAME, projection), event_type];
        let mut last = "";
        for (name, seconds) in lags {
            if seconds < 0.0 {
                skewed(instruments, "projection");
            }
            if name != last {
                attributes[2] = instruments.event_type(name);
                last = name;
            }
            instruments.projection_lag.record(seconds.max(0.0), &attributes);
        }
    });
}

pub(crate) fn projection_events(projection: &'static str, status: &'static str, events: u64) {
    with(|instruments| {
        let attributes = [KeyValue::new(names::PROJECTION_NAME, projection), KeyValue::new(names::STATUS, status)];
        instruments.projection_events.add(events, &attributes);
    });
}

pub(crate) fn events_loaded(aggregate_type: &'static str, events: u64) {
    with(|instruments| {
        instruments.events_loaded.record(events, &[KeyValue::new(names::AGGREGATE_TYPE, aggregate_type)]);
    });
}

/// What became of the snapshot that a load looked for.
pub(crate) fn snapshot_read(aggregate_type: &'static str, result: &'static str) {
    with(|instruments| {
        let attributes = [KeyValue::new(names::AGGREGATE_TYPE, aggregate_type), KeyValue::new(names::RESULT, result)];
        instruments.snapshot_reads.add(1, &attributes);
    });
}

pub(crate) fn append_conflict(aggregate_type: &'static str) {
    with(|instruments| {
        instruments.append_conflicts.add(1, &[KeyValue::new(names::AGGREGATE_TYPE, aggregate_type)]);
    });
}

pub(crate) fn retry(component: &'static str, error_type: &str) {
    with(|instruments| instruments.retries.add(1, &[by(component), instruments.error_type(error_type)]));
}

/// Events that were set aside, or parked behind such an event.
pub(crate) fn dead_letters(component: &'static str, error_type: &str, count: u64) {
    with(|instruments| instruments.dead_letters.add(count, &[by(component), instruments.error_type(error_type)]));
}

/// A lease that another took while its holder still worked.
pub(crate) fn lease_lost(component: &'static str) {
    with(|instruments| instruments.lease_lost.add(1, &[by(component)]));
}

pub(crate) fn context_malformed(component: &'static str) {
    with(|instruments| instruments.context_malformed.add(1, &[by(component)]));
}

pub(super) fn attributes_cut(count: u64) {
    with(|instruments| instruments.attributes_cut.add(count, &[by("span")]));
}

/// The server of a database or a broker, if it has one.
pub(super) fn server(server: Option<&(Arc<str>, u16)>) -> impl Iterator<Item = KeyValue> {
    let described = |(address, port): &(Arc<str>, u16)| {
        [KeyValue::new(names::SERVER_ADDRESS, Arc::clone(address)), KeyValue::new(names::SERVER_PORT, i64::from(*port))]
    };
    server.map(described).into_iter().flatten()
}

/// A call to a database begins: it counts as one that waits until the value is dropped.
pub(crate) fn store_waits(info: &StoreInfo) -> Option<Waiting> {
    measure(|instruments, _| instruments?.store_calls.begin(info.system?))
}

/// The duration of a call to a database; in-process stores make none. Returns whether the call was slow.
pub(crate) fn store_operation(
    info: &StoreInfo,
    operation: &'static str,
    fault: Option<Fault<'_>>,
    elapsed: Duration,
) -> bool {
    let Some(system) = info.system else { return false };
    measure(|instruments, slow_from| {
        let slow = elapsed >= slow_from;
        let Some(instruments) = instruments else { return slow };
        let mut attributes = vec![
            KeyValue::new(names::DB_SYSTEM_NAME, system),
            KeyValue::new(names::DB_OPERATION_NAME, operation),
            KeyValue::new(names::DB_COLLECTION_NAME, info.collection),
        ];
        if let Some(namespace) = &info.namespace {
            attributes.push(KeyValue::new(names::DB_NAMESPACE, Arc::clone(namespace)));
        }
        attributes.extend(server(info.server.as_ref()));
        if let Some(Fault { error_type, error }) = fault {
            attributes.push(instruments.error_type(error_type));
            attributes.extend(status_code(error).map(|code| KeyValue::new(names::DB_RESPONSE_STATUS_CODE, code)));
        }
        instruments.db_operation_duration.record(elapsed.as_secs_f64(), &attributes);
        slow
    })
}
