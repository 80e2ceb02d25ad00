//! The instruments of buses, and one function for each fact that they count. Attribute values are names from closed
//! sets: destinations, groups and kinds of failure, never ids.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::gauges::{Told, gauge, tell};
use super::metrics::{self, server, skew, with};
use super::observed::{MeterId, Observed};
use crate::bus::{BusInfo, Health, Lag, PublishError, Published};
use crate::telemetry::{BoundedNames, guarded, names};

/// The name of the operation, and its type.
const SEND: &str = "send";
/// The bounds that the conventions recommend, in seconds.
pub(super) const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Stands for a bus without a broker, if an instrument must name one.
const IN_PROCESS: &str = "in_process";

/// The buses whose health the gauges report, by their systems; none is that of an in-process bus.
static BUSES: Observed<Option<&str>, dyn Health> = Observed::new();

/// By the systems, the destinations and the groups of subscriptions.
static RUNNING: Observed<(&str, String, Arc<str>), Told> = Observed::new();

/// The groups that are kept apart, of all buses: who listens for a moment may have made up its own.
static GROUPS: LazyLock<BoundedNames> = LazyLock::new(BoundedNames::default);

/// Creates the gauges of one meter.
pub(super) fn make(meter: &Meter, meter_id: &MeterId) {
    observe_connected(meter, meter_id);
    observe_lag(meter, meter_id);
    observe_running(meter, meter_id);
}

fn attributes(
    info: &BusInfo,
    operation: &'static str,
    (destination, partition): (&str, Option<i32>),
    error: Option<KeyValue>,
) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(9);
    attributes.extend([
        KeyValue::new(names::MESSAGING_SYSTEM, info.system.unwrap_or(IN_PROCESS)),
        KeyValue::new(names::MESSAGING_OPERATION_NAME, operation),
        KeyValue::new(names::MESSAGING_DESTINATION_NAME, destination.to_owned()),
    ]);
    if let Some(partition) = partition {
        attributes.push(KeyValue::new(names::MESSAGING_DESTINATION_PARTITION_ID, partition.to_string()));
    }
    attributes.extend(server(info.server.as_ref()));
    attributes.extend(error);
    attributes
}

/// Whether sending the message was not even tried.
fn never_left(error: &PublishError) -> bool {
    use PublishError::{Behind, Closed, Invalid, TooLarge};
    matches!(error, Closed | TooLarge { .. } | Invalid { .. } | Behind { .. })
}

/// Messages were sent, and some could not be. Those that were not even tried are not counted.
pub(crate) fn sent(info: &BusInfo, destination: &str, results: &[Result<Published, PublishError>], elapsed: Duration) {
    with(|instruments| {
        let failed = |result: &Result<_, PublishError>| {
            result.as_ref().err().map(|error| instruments.error_type(error.error_type()))
        };
        let mut counts: Vec<(Option<i32>, Option<KeyValue>, u64)> = Vec::new();
        for result in results.iter().filter(|result| !result.as_ref().is_err_and(never_left)) {
            let partition = result.as_ref().ok().and_then(|published| Some(published.place?.partition));
            let error = failed(result);
            match counts.iter_mut().find(|(at, why, _)| *at == partition && *why == error) {
                Some((_, _, count)) => *count += 1,
                None => counts.push((partition, error, 1)),
            }
        }
        // With a partition if all are of one.
        let partition = match &counts[..] {
            [(partition, ..)] => *partition,
            _ => None,
        };
        let error = results.iter().find_map(failed);
        let duration = sending(info, (destination, partition), error);
        instruments.messaging_operation_duration.record(elapsed.as_secs_f64(), &duration);
        for (partition, error, count) in counts {
            instruments.sent_messages.add(count, &attributes(info, SEND, (destination, partition), error));
        }
    });
}

/// Messages were handed to a bus, and nobody waited for the answer: any of them may have been sent.
pub(crate) fn unanswered(
    info: &BusInfo,
    destination: &str,
    messages: u64,
    error_type: &'static str,
    elapsed: Duration,
) {
    with(|instruments| {
        let error = Some(instruments.error_type(error_type));
        let duration = sending(info, (destination, None), error.clone());
        instruments.messaging_operation_duration.record(elapsed.as_secs_f64(), &duration);
        instruments.sent_messages.add(messages, &attributes(info, SEND, (destination, None), error));
    });
}

fn sending(info: &BusInfo, place: (&str, Option<i32>), error: Option<KeyValue>) -> Vec<KeyValue> {
    let mut attributes = attributes(info, SEND, place, error);
    attributes.push(KeyValue::new(names::MESSAGING_OPERATION_TYPE, SEND));
    attributes
}

fn processing(info: &BusInfo, group: &str, place: (&str, Option<i32>), error: Option<KeyValue>) -> Vec<KeyValue> {
    let mut attributes = attributes(info, "process", place, error);
    attributes.push(KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, group.to_owned()));
    attributes
}

/// A group as the measurements of its subscription name it.
pub(crate) fn group(name: &Arc<str>) -> Arc<str> {
    if GROUPS.knows(name) { Arc::clone(name) } else { GROUPS.or_other(name).into() }
}

/// Messages were delivered to a member of a group.
pub(crate) fn consumed(info: &BusInfo, group: &str, place: (&str, Option<i32>), messages: u64) {
    with(|instruments| {
        instruments.consumed_messages.add(messages, &processing(info, group, place, None));
    });
}

/// A message or a batch was handled, once.
pub(crate) fn processed(
    info: &BusInfo,
    group: &str,
    place: (&str, Option<i32>),
    error: Option<&str>,
    elapsed: Duration,
) {
    with(|instruments| {
        let error = error.map(|error| instruments.error_type(error));
        let attributes = processing(info, group, place, error);
        instruments.process_duration.record(elapsed.as_secs_f64(), &attributes);
    });
}

/// By another clock, a message came before it was sent.
pub(crate) fn clock_skew() {
    skew("bus");
}

/// Has the gauges report a bus for as long as it lives.
pub(crate) fn observe(system: Option<&'static str>, health: &Arc<dyn Health>) {
    if !metrics::are_off() {
        BUSES.add(system, health);
    }
}

/// Queries a bus, and drops what may have become its last handle. A panic here would end the exporter's thread, and a
/// foreign bus may panic, also in its destructor.
fn asked<T>(health: Arc<dyn Health>, ask: impl FnOnce(&dyn Health) -> T) -> Option<T> {
    let answer = guarded(|| ask(&*health));
    // Separately: two panics at once would end the process.
    guarded(move || drop(health));
    answer
}

fn observe_connected(meter: &Meter, meter_id: &MeterId) {
    let meter_id = meter_id.clone();
    gauge(meter, names::EVENTSOURCE_BUS_CONNECTED, "1", move |observer| {
        let mut systems = BTreeMap::new();
        for (system, health) in BUSES.living(&meter_id) {
            let connected = asked(health, |health| system.is_none() || health.is_connected()).unwrap_or(false);
            // Nothing stands between.
            let Some(system) = system else { continue };
            // Of several buses, a lost one is what matters.
            *systems.entry(system).or_insert(true) &= connected;
        }
        for (system, connected) in systems {
            observer.observe(u64::from(connected), &[KeyValue::new(names::MESSAGING_SYSTEM, system)]);
        }
    });
}

fn observe_lag(meter: &Meter, meter_id: &MeterId) {
    let meter_id = meter_id.clone();
    gauge(meter, names::EVENTSOURCE_CONSUMER_LAG, "{message}", move |observer| {
        let mut all = BTreeMap::<_, u64>::new();
        for (system, health) in BUSES.living(&meter_id) {
            let mut tell = |Lag { group, destination, partition, messages }: Lag<'_>| {
                let of = (
                    system.unwrap_or(IN_PROCESS),
                    destination.to_owned(),
                    partition,
                    GROUPS.or_other(group).to_owned(),
                );
                *all.entry(of).or_default() += messages;
            };
            asked(health, |health| health.lags(&mut tell));
        }
        // In-process buses may have groups of one name, and all that are not kept apart have one.
        for ((system, destination, partition, group), messages) in all {
            let attributes = [
                KeyValue::new(names::MESSAGING_SYSTEM, system),
                KeyValue::new(names::MESSAGING_DESTINATION_NAME, destination),
                KeyValue::new(names::MESSAGING_DESTINATION_PARTITION_ID, partition.to_string()),
                KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, group),
            ];
            observer.observe(messages, &attributes);
        }
    });
}

/// That a subscription has not failed, told for as long as its handle is kept; `None` if metrics are off.
pub(crate) fn running(info: &BusInfo, group: &Arc<str>) -> Option<Arc<Told>> {
    let of = (info.system.unwrap_or(IN_PROCESS), info.destination.to_string(), Arc::clone(group));
    Told::by(&RUNNING, of, 1)
}

fn observe_running(meter: &Meter, meter_id: &MeterId) {
    let meter_id = meter_id.clone();
    gauge(meter, names::EVENTSOURCE_CONSUMER_RUNNING, "{subscription}", move |observer| {
        let attributes = |(system, destination, group)| {
            [
                KeyValue::new(names::MESSAGING_SYSTEM, system),
                KeyValue::new(names::MESSAGING_DESTINATION_NAME, destination),
                KeyValue::new(names::MESSAGING_CONSUMER_GROUP_NAME, group),
            ]
        };
        // Of several members, one that runs no more is what matters.
        tell(observer, attributes, RUNNING.living(&meter_id), Told::count, u64::min);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, Weak};

    use opentelemetry_sdk::metrics::InMemoryMetricExporter;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};

    use super::*;
    use crate::telemetry::Telemetry;

    struct Broken;

    impl Health for Broken {
        fn is_connected(&self) -> bool {
            panic!("a bus's own")
        }

        fn lags(&self, tell: &mut dyn FnMut(Lag<'_>)) {
            Fine.lags(tell);
            panic!("a bus's own")
        }
    }

    struct Fine;

    impl Health for Fine {
        fn is_connected(&self) -> bool {
            true
        }

        fn lags(&self, tell: &mut dyn FnMut(Lag<'_>)) {
            tell(Lag { group: "inventory", destination: "orders", partition: 0, messages: 7 });
        }
    }

    /// Its owner drops it while it is queried, so that it ends on the exporter's thread.
    struct Leaving(Arc<Mutex<Option<Arc<dyn Health>>>>);

    impl Health for Leaving {
        fn is_connected(&self) -> bool {
            drop(self.0.lock().unwrap().take());
            true
        }
    }

    impl Drop for Leaving {
        fn drop(&mut self) {
            std::panic::panic_any(Spiteful)
        }
    }

    struct Spiteful;

    impl Drop for Spiteful {
        fn drop(&mut self) {
            panic!("what a panic said")
        }
    }

    /// What the gauges report last of those buses, by instrument and system.
    fn told(buses: &[(Option<&'static str>, Weak<dyn Health>)], flushes: usize) -> BTreeMap<(String, String), u64> {
        let exporter = InMemoryMetricExporter::default();
        let telemetry = Telemetry::builder("tests").metric_exporter(exporter.clone()).build().unwrap();
        let _attached = telemetry.attach();
        for (system, health) in buses {
            observe(*system, &health.upgrade().unwrap());
        }
        for _ in 0..flushes {
            telemetry.force_flush_blocking().unwrap();
        }
        let finished = exporter.get_finished_metrics().unwrap();
        let last = finished.last().into_iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics);
        let mut told = BTreeMap::new();
        for metric in last {
            let AggregatedMetrics::U64(MetricData::Gauge(gauge)) = metric.data() else { panic!("{metric:?}") };
            for point in gauge.data_points() {
                let system = point.attributes().find(|attribute| attribute.key.as_str() == names::MESSAGING_SYSTEM);
                told.insert((metric.name().to_owned(), system.unwrap().value.to_string()), point.value());
            }
        }
        told
    }

    fn of(name: &str, system: &str, value: u64) -> ((String, String), u64) {
        ((name.to_owned(), system.to_owned()), value)
    }

    const CONNECTED: &str = names::EVENTSOURCE_BUS_CONNECTED;
    const LAG: &str = names::EVENTSOURCE_CONSUMER_LAG;

    #[test]
    fn a_bus_that_panics_when_it_is_asked_takes_no_gauge_of_others_along() {
        let buses: [(_, Arc<dyn Health>); 2] = [("kafka", Arc::new(Broken)), ("rabbitmq", Arc::new(Fine))];
        let watched = buses.each_ref().map(|(system, health)| (Some(*system), Arc::downgrade(health)));
        let expected =
            [of(CONNECTED, "kafka", 0), of(CONNECTED, "rabbitmq", 1), of(LAG, "kafka", 7), of(LAG, "rabbitmq", 7)];
        assert_eq!(told(&watched, 100), BTreeMap::from(expected));
    }

    #[test]
    fn of_several_buses_of_a_system_one_that_is_lost_is_told() {
        let buses: [Arc<dyn Health>; 2] = [Arc::new(Broken), Arc::new(Fine)];
        for (first, second) in [(0, 1), (1, 0)] {
            let watched = [first, second].map(|at| (Some("kafka"), Arc::downgrade(&buses[at])));
            let expected = [of(CONNECTED, "kafka", 0), of(LAG, "kafka", 14)];
            assert_eq!(told(&watched, 1), BTreeMap::from(expected));
        }
    }

    /// Its destructor ran outside of what bears panics, and nothing was told ever after.
    #[test]
    fn a_bus_whose_end_panics_while_it_is_asked_takes_no_gauge_of_others_along() {
        let owner = Arc::new(Mutex::new(None));
        let leaving: Arc<dyn Health> = Arc::new(Leaving(Arc::clone(&owner)));
        let fine: Arc<dyn Health> = Arc::new(Fine);
        let watched = [(Some("kafka"), Arc::downgrade(&leaving)), (Some("rabbitmq"), Arc::downgrade(&fine))];
        *owner.lock().unwrap() = Some(leaving);
        let expected = [of(CONNECTED, "rabbitmq", 1), of(LAG, "rabbitmq", 7)];
        assert_eq!(told(&watched, 2), BTreeMap::from(expected));
        assert!(watched[0].1.upgrade().is_none(), "it is gone");
    }
}
