//! What is logged, as the registry lists it.
#![allow(clippy::missing_panics_doc, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::logs::SdkLogRecord;
use opentelemetry_sdk::logs::in_memory_exporter::LogDataWithResource;
use opentelemetry_sdk::trace::SpanData;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::registry::{Logged, Registry};

/// Has a subscriber hear what this thread logs, for as long as the guard lives.
///
/// Where `tracing` knows one subscriber alone, a place that logs for the first time on another thread, which has none,
/// takes it that nobody listens, and says nothing to anybody from then on. So there are always two.
pub fn listen(subscriber: impl Subscriber + Send + Sync) -> DefaultGuard {
    static OTHER: OnceLock<Dispatch> = OnceLock::new();
    OTHER.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
    tracing::subscriber::set_default(subscriber)
}

/// Everything of ours that was logged where it is the layer of the subscriber.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<Logged>>>);

impl Log {
    /// What this process logs from the first call on, outside of subscribers that tests have for themselves.
    pub fn of_process() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let ours = filter_fn(|metadata| metadata.target().starts_with("eventsource"));
            let subscriber = tracing_subscriber::registry().with(log.clone().with_filter(ours));
            tracing::subscriber::set_global_default(subscriber).expect("nobody else has set one");
            // Of a place that logged for the first time meanwhile, it may be kept that nobody listens.
            tracing::callsite::rebuild_interest_cache();
            log
        })
    }

    /// What this thread logs for as long as the guard lives.
    #[must_use]
    pub fn of_thread() -> (Self, DefaultGuard) {
        let log = Self::default();
        let guard = listen(tracing_subscriber::registry().with(log.clone()));
        (log, guard)
    }

    /// What an exporter got, as if it had listened; without the attributes that users named, each of which a record has
    /// by itself.
    #[must_use]
    pub fn exported(records: &[LogDataWithResource]) -> Self {
        let all = records.iter().map(|exported| of_record(&exported.record)).collect();
        Self(Arc::new(Mutex::new(all)))
    }

    /// Waits until there was such an event, and holds all of its name against the registry.
    pub async fn hears(&self, name: &str) {
        self.hears_where(name, |_| true).await;
    }

    /// As [`Log::hears`], of those with a text in a field.
    pub async fn hears_of(&self, name: &str, field: &str, text: &str) {
        self.hears_where(name, |logged| logged.texts.get(field).is_some_and(|of| of == text)).await;
    }

    async fn hears_where(&self, name: &str, is_meant: impl Fn(&Logged) -> bool) {
        let is_meant = |logged: &&Logged| logged.name == name && is_meant(logged);
        let heard = || self.0.lock().unwrap().iter().filter(is_meant).cloned().collect::<Vec<_>>();
        // By a clock that does not stand still where a test's does.
        let begun = Instant::now();
        while heard().is_empty() {
            assert!(begun.elapsed() < Duration::from_mins(5), "nobody logs `{name}`");
            tokio::task::yield_now().await;
            // Nor by that clock: whoever logs it needs the processor.
            std::thread::sleep(Duration::from_millis(1));
        }
        let registry = Registry::load();
        let faults: Vec<_> = heard().iter().flat_map(|logged| registry.check_log(logged)).collect();
        assert_eq!(faults, [""; 0]);
    }

    /// Whether such an event was logged with a number in a field.
    #[must_use]
    pub fn says(&self, name: &str, field: &str, number: i64) -> bool {
        let all = self.0.lock().unwrap();
        all.iter().any(|logged| logged.name == name && logged.numbers.get(field) == Some(&number))
    }

    /// The names of what was logged under a target, in order.
    #[must_use]
    pub fn names_of(&self, target: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|logged| logged.target == target).map(|logged| logged.name.clone()).collect()
    }

    /// The texts that were logged in a field, in order.
    #[must_use]
    pub fn texts_of(&self, field: &str) -> Vec<String> {
        let all = self.0.lock().unwrap();
        all.iter().filter_map(|logged| logged.texts.get(field).cloned()).collect()
    }

    /// What is wrong with what was logged, and the names and fields that were seen.
    #[must_use]
    pub fn check(&self, registry: &Registry) -> (BTreeSet<String>, BTreeMap<String, BTreeSet<String>>) {
        let (mut faults, mut seen) = (BTreeSet::new(), BTreeMap::<_, BTreeSet<String>>::new());
        for logged in self.0.lock().unwrap().iter() {
            faults.extend(registry.check_log(logged));
            seen.entry(logged.name.clone()).or_default().extend(logged.fields.keys().cloned());
        }
        (faults, seen)
    }

    /// The events that lack the ids of the span in which they happened, which is one of `spans`.
    #[must_use]
    pub fn check_ids(&self, registry: &Registry, spans: &[SpanData]) -> BTreeSet<String> {
        self.strays(registry, spans, |_| true)
    }

    /// Holds the ids of one event against the registry, where others are logged in the spans of other tests.
    pub fn has_ids(&self, name: &str, spans: &[SpanData]) {
        assert_eq!(self.strays(Registry::load(), spans, |logged| logged.name == name), BTreeSet::new());
    }

    fn strays(&self, registry: &Registry, spans: &[SpanData], is_meant: impl Fn(&&Logged) -> bool) -> BTreeSet<String> {
        let ids = |span: &SpanData| (span.span_context.trace_id().to_string(), span.span_context.span_id().to_string());
        let spans: BTreeSet<_> = spans.iter().map(ids).collect();
        let (all, none) = (self.0.lock().unwrap(), <_>::default());
        let is_stray = |logged: &&Logged| {
            let fits = spans.contains(&logged.ids);
            match registry.logs_in_span(&logged.name) {
                // Now and then, but not each time.
                None if logged.ids == none => {
                    !all.iter().any(|other| other.name == logged.name && spans.contains(&other.ids))
                }
                None | Some(true) => !fits,
                // Whoever's span it is told in.
                Some(false) => false,
            }
        };
        let strays = all.iter().filter(is_meant).filter(is_stray);
        strays.map(|logged| format!("`{}` bears the ids {:?} of no span", logged.name, logged.ids)).collect()
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // What the runtime logs without a target has its path as one; it is not listed.
        if !matches!(metadata.target().split("::").next(), Some("eventsource" | "eventsource_runtime")) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push(Logged {
            name: metadata.name().to_owned(),
            target: metadata.target().to_owned(),
            level: metadata.level().to_string().to_lowercase(),
            message: fields.message,
            fields: fields.types,
            numbers: fields.numbers,
            texts: fields.texts,
            ids: (fields.trace_id, fields.span_id),
        });
    }
}

fn of_record(record: &SdkLogRecord) -> Logged {
    let name = record.event_name().unwrap_or_default().to_owned();
    let type_of = |value: &AnyValue| match value {
        AnyValue::String(_) => "string",
        AnyValue::Int(_) => "int",
        AnyValue::Double(_) => "double",
        _ => "value of another type",
    };
    let ours = record.attributes_iter().filter(|(key, _)| !Registry::load().lets_users_name(&name, key.as_str()));
    let fields = ours.map(|(key, value)| (key.to_string(), type_of(value))).collect();
    let message = match record.body() {
        Some(AnyValue::String(text)) => text.to_string(),
        other => format!("{other:?}"),
    };
    let context = record.trace_context();
    Logged {
        name,
        target: record.target().map(ToString::to_string).unwrap_or_default(),
        level: record.severity_text().unwrap_or_default().to_lowercase(),
        message,
        fields,
        ids: context.map(|of| (of.trace_id.to_string(), of.span_id.to_string())).unwrap_or_default(),
        ..Logged::default()
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    types: BTreeMap<String, &'static str>,
    numbers: BTreeMap<String, i64>,
    texts: BTreeMap<String, String>,
    trace_id: String,
    span_id: String,
}

impl Fields {
    fn is(&mut self, field: &Field, of: &'static str) {
        self.types.insert(field.name().to_owned(), of);
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "trace_id" => value.clone_into(&mut self.trace_id),
            "span_id" => value.clone_into(&mut self.span_id),
            _ => {
                self.texts.insert(field.name().to_owned(), value.to_owned());
                self.is(field, "string");
            }
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.numbers.extend(i64::try_from(value).map(|value| (field.name().to_owned(), value)));
        self.is(field, "int");
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.numbers.insert(field.name().to_owned(), value);
        self.is(field, "int");
    }

    fn record_f64(&mut self, field: &Field, _: f64) {
        self.is(field, "double");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.is(field, "string"),
        }
    }
}
