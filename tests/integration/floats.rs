//! Numbers, which are stored as text.

use eventsource_runtime::prelude::*;
use eventsource_tests::dice::Dice;
use eventsource_tests::recorder::Recorder;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sqlite;

#[derive(Event, Clone, Serialize, Deserialize)]
struct Measured {
    values: Vec<f64>,
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = Uuid, events(Measured), snapshot(every = 1000))]
struct Probe {
    values: Vec<f64>,
}

impl Apply<Measured> for Probe {
    fn apply(&mut self, event: Measured) {
        self.values.extend(event.values);
    }
}

/// A few that are at an edge, and many of any bits: those that JSON has no text for aside.
fn floats() -> Vec<f64> {
    let edges = [0.0, -0.0, 0.1 + 0.2, f64::MIN_POSITIVE, f64::from_bits(1), f64::EPSILON, f64::MAX, f64::MIN];
    let mut dice = Dice(Dice::seed());
    let mut bits = || (dice.below(1 << 22) << 42) | (dice.below(1 << 21) << 21) | dice.below(1 << 21);
    let any = std::iter::repeat_with(|| f64::from_bits(bits())).filter(|float| float.is_finite()).take(5000);
    edges.into_iter().chain(any).collect()
}

/// What reads JSON may be quicker where it may be wrong in the last bit: it is told not to be.
#[tokio::test]
async fn every_float_comes_back_with_the_bits_that_it_had() {
    let (probes, probe, values) = (Repository::<Probe, _>::new(sqlite().await), Uuid::now_v7(), floats());
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let measured = Measured { values: values.clone() };
    probes.append(&probe, ExpectedVersion::NoStream, measured).await.unwrap();
    assert!(bits(&probes.load(&probe).await.unwrap().state.values) == bits(&values), "in an event");
    probes.create_snapshot(&probe).await.unwrap().expect("there is something to keep");
    let recorder = Recorder::new();
    let loaded = recorder.run(probes.load(&probe)).await.unwrap();
    assert!(bits(&loaded.state.values) == bits(&values), "in a snapshot");
    let rendered = recorder.trees().render();
    assert!(rendered.contains("eventsource.snapshot.used=true"), "{rendered}");
}

#[derive(Event, Clone, Serialize, Deserialize)]
struct Counted {
    signed: Vec<i128>,
    unsigned: Vec<u128>,
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = Uuid, events(Counted), snapshot(every = 1000))]
struct Counter {
    signed: Vec<i128>,
    unsigned: Vec<u128>,
}

impl Apply<Counted> for Counter {
    fn apply(&mut self, event: Counted) {
        self.signed.extend(event.signed);
        self.unsigned.extend(event.unsigned);
    }
}

/// A tree of JSON values, which rounds the larger ones, is nowhere in between.
#[tokio::test]
async fn every_integer_comes_back_whole() {
    let (counters, counter) = (Repository::<Counter, _>::new(sqlite().await), Uuid::now_v7());
    let signed = vec![i64::MIN.into(), i64::MAX.into(), i128::from(i64::MIN) - 1, i128::MIN, i128::MAX];
    let unsigned = vec![(1 << 53) + 1, u64::MAX.into(), u128::from(u64::MAX) + 1, u128::MAX];
    let both = Counted { signed: signed.clone(), unsigned: unsigned.clone() };
    counters.append(&counter, ExpectedVersion::NoStream, both).await.unwrap();
    let event = counters.load(&counter).await.unwrap().state;
    assert_eq!((&event.signed, &event.unsigned), (&signed, &unsigned), "in an event");
    counters.create_snapshot(&counter).await.unwrap().expect("there is something to keep");
    let recorder = Recorder::new();
    let snapshot = recorder.run(counters.load(&counter)).await.unwrap().state;
    assert_eq!((snapshot.signed, snapshot.unsigned), (signed, unsigned), "in a snapshot");
    let rendered = recorder.trees().render();
    assert!(rendered.contains("eventsource.snapshot.used=true"), "{rendered}");
}
