use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, Temporality};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SpanData, SpanExporter};
use tokio::runtime::{Builder, Runtime};

use super::env::Env;
use super::{Telemetry, TelemetryBuilder};
use crate::telemetry::otel::metrics;
use crate::telemetry::{TelemetryError, TraceContext, span};

pub(super) fn builder(env: &[(&str, &str)]) -> TelemetryBuilder {
    TelemetryBuilder::new("tests".to_owned(), Env::of(env))
}

fn captured(env: &[(&str, &str)]) -> (Telemetry, InMemorySpanExporter) {
    let exporter = InMemorySpanExporter::default();
    (builder(env).simple_exporter(exporter.clone()).build().unwrap(), exporter)
}

fn names(exporter: &InMemorySpanExporter) -> Vec<String> {
    exporter.get_finished_spans().unwrap().into_iter().map(|span| span.name.into_owned()).collect()
}

pub(super) fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn spans_and_metrics_go_where_they_were_sent() {
    let metrics = InMemoryMetricExporter::default();
    let spans = InMemorySpanExporter::default();
    let telemetry = builder(&[]).simple_exporter(spans.clone()).metric_exporter(metrics.clone()).build().unwrap();
    {
        let _attached = telemetry.attach();
        span("outer").in_scope(|| span("inner").in_scope(|| metrics::append_conflict("Order")));
    }
    span("elsewhere").in_scope(|| ());
    assert_eq!(names(&spans), ["inner", "outer"]);
    telemetry.shutdown_blocking().unwrap();
    let collected = metrics.get_finished_metrics().unwrap();
    let metric = collected[0].scope_metrics().next().unwrap().metrics().next().unwrap();
    assert_eq!(metric.name(), crate::telemetry::names::EVENTSOURCE_APPEND_CONFLICTS);
}

#[test]
fn two_set_ups_in_one_process_keep_apart() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (first, first_spans) = captured(&[]);
    let (second, second_spans) = captured(&[]);
    let work = |name: &'static str| async move {
        for _ in 0..20 {
            span(name).run(tokio::task::yield_now()).await;
            tokio::task::yield_now().await;
        }
    };
    runtime.block_on(async {
        let one = tokio::spawn(first.run(work("one")));
        let two = tokio::spawn(second.run(work("two")));
        one.await.unwrap();
        two.await.unwrap();
    });
    assert_eq!(names(&first_spans), ["one"; 20]);
    assert_eq!(names(&second_spans), ["two"; 20]);
}

#[test]
fn what_a_dropped_future_ends_goes_to_its_set_up() {
    struct OnDrop;
    impl Drop for OnDrop {
        fn drop(&mut self) {
            span("dropped").in_scope(|| ());
        }
    }
    let (telemetry, spans) = captured(&[]);
    let running = telemetry.run(async {
        let _guard = OnDrop;
        std::future::pending::<()>().await;
    });
    current_thread().block_on(async {
        let polled = tokio::time::timeout(Duration::from_millis(1), running).await;
        assert!(polled.is_err());
    });
    assert_eq!(names(&spans), ["dropped"]);
}

#[test]
fn a_disabled_environment_makes_nothing() {
    let (telemetry, spans) = captured(&[("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x")]);
    let _attached = telemetry.attach();
    span("any").in_scope(|| ());
    assert_eq!(names(&spans), [""; 0]);
    telemetry.shutdown_blocking().unwrap();
}

/// Tells by its reference that it is still there.
struct Kept {
    _one: Arc<()>,
}

impl PushMetricExporter for Kept {
    async fn export(&self, _: &ResourceMetrics) -> OTelSdkResult {
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// The reader's thread had it, and nobody ended that.
#[test]
fn a_set_up_that_does_not_come_to_be_keeps_no_exporter_of_metrics() {
    let failing = ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://x");
    let one = Arc::new(());
    let exporting = |env: &[(&str, &str)]| builder(env).metric_exporter(Kept { _one: Arc::clone(&one) });
    exporting(&[failing]).build().unwrap_err();
    assert_eq!(Arc::strong_count(&one), 1, "of one that fails");
    let telemetry = exporting(&[("OTEL_SDK_DISABLED", "true")]).build().unwrap();
    assert_eq!(Arc::strong_count(&one), 1, "of one that is switched off");
    telemetry.shutdown_blocking().unwrap();
    drop(exporting(&[]));
    assert_eq!(Arc::strong_count(&one), 1, "of one that is never made");
}

#[test]
fn the_environment_chooses_the_sampler_and_the_code_overrules_it() {
    let off = [("OTEL_TRACES_SAMPLER", "always_off")];
    let (telemetry, spans) = captured(&off);
    let carried = {
        let _attached = telemetry.attach();
        span("unsampled").in_scope(TraceContext::current)
    };
    assert_eq!(names(&spans), [""; 0]);
    assert!(carried.is_some_and(|context| !context.is_sampled()), "a context travels, sampled or not");

    let spans = InMemorySpanExporter::default();
    let telemetry = builder(&off).sampler(Sampler::AlwaysOn).simple_exporter(spans.clone()).build().unwrap();
    let _attached = telemetry.attach();
    span("sampled").in_scope(|| ());
    assert_eq!(names(&spans), ["sampled"]);
}

#[test]
fn the_resource_names_the_service_and_what_the_code_and_the_environment_add() {
    let builder = builder(&[("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.namespace=shop")])
        .resource_attribute("service.version", "1.0.0")
        .resource_attribute("service.namespace", "unset")
        .resource_attribute("service.version", "1.2.3")
        .resource_attribute("service.name", "another");
    let resource = builder.env.resource(&builder.service_name, builder.resource);
    let get = |key: &'static str| resource.get(&key.into()).map(|value| value.to_string());
    assert_eq!(get("service.name").as_deref(), Some("tests"));
    assert_eq!(get("deployment.environment.name").as_deref(), Some("test"));
    assert_eq!(get("service.version").as_deref(), Some("1.2.3"));
    assert_eq!(get("service.namespace").as_deref(), Some("shop"));
    assert_eq!(get("telemetry.sdk.language").as_deref(), Some("rust"));
}

/// The counters of two would be one series that jumps.
#[test]
fn the_resource_tells_one_process_of_a_service_from_the_others() {
    let instance = |variables: &[(&'static str, &str)]| {
        let builder = builder(variables);
        let resource = builder.env.resource(&builder.service_name, builder.resource);
        resource.get(&"service.instance.id".into()).map(|value| value.to_string())
    };
    assert!(instance(&[]).is_some());
    assert_ne!(instance(&[]), instance(&[]));
    let named = instance(&[("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-7")]);
    assert_eq!(named.as_deref(), Some("pod-7"));
}

#[test]
fn the_trace_tree_is_printed_as_the_set_up_says() {
    let printed = |builder: TelemetryBuilder| format!("{:?}", builder.console());
    let usual = printed(builder(&[("COLUMNS", "80")]));
    assert!(usual.contains("width: 80") && usual.contains("slow: 100ms") && usual.contains("limit: None"), "{usual}");
    let chosen = printed(builder(&[]).console_slow(Duration::from_millis(20)).console_traces(3));
    assert!(chosen.contains("slow: 20ms") && chosen.contains("limit: Some(3)"), "{chosen}");
}

#[test]
fn without_an_exporter_contexts_still_travel() {
    let telemetry = builder(&[("OTEL_TRACES_EXPORTER", "none")]).console_without_endpoint().build().unwrap();
    let _attached = telemetry.attach();
    assert!(span("any").in_scope(TraceContext::current).unwrap().is_sampled());
}

/// Never comes back.
#[derive(Debug)]
struct Hanging;

impl SpanExporter for Hanging {
    fn export(&self, _: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        std::thread::sleep(Duration::from_mins(10));
        std::future::ready(Ok(()))
    }
}

/// What a busy machine may add; whoever waits for an exporter waits for minutes.
pub(super) const LATE: Duration = Duration::from_mins(1);

#[test]
fn a_hanging_exporter_does_not_hold_up_the_runtime_or_a_drop() {
    current_thread().block_on(async {
        let telemetry = builder(&[]).span_exporter(Hanging).shutdown_timeout(LATE).build().unwrap();
        let attached = telemetry.attach();
        span("stuck").in_scope(|| ());
        drop(attached);
        let ticks = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            result = telemetry.force_flush() => panic!("the runtime's only thread was blocked: {result:?}"),
            () = ticks => {}
        }
        let started = Instant::now();
        drop(telemetry);
        assert!(started.elapsed() < LATE);
    });
}

#[derive(Debug)]
struct Failing(Arc<AtomicU32>);

impl SpanExporter for Failing {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(u32::try_from(batch.len()).unwrap(), Ordering::Relaxed);
        Err(OTelSdkError::InternalFailure("no route to the collector".into()))
    }
}

#[test]
fn a_failing_exporter_is_told_at_shutdown() {
    let seen = Arc::new(AtomicU32::new(0));
    let telemetry = builder(&[]).span_exporter(Failing(Arc::clone(&seen))).build().unwrap();
    {
        let _attached = telemetry.attach();
        span("lost").in_scope(|| ());
    }
    let result = telemetry.shutdown_blocking();
    assert!(matches!(result, Err(TelemetryError::NotExported { signal: "traces", .. })), "{result:?}");
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[cfg(not(feature = "otlp"))]
#[test]
fn an_endpoint_without_the_feature_is_an_error_that_names_it() {
    let error = builder(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")]).build().unwrap_err();
    assert!(error.to_string().contains("`otlp`"), "{error}");
    assert!(error.to_string().contains("`OTEL_EXPORTER_OTLP_ENDPOINT`"), "{error}");
}
