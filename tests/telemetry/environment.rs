//! Variables of the environment that are seen to act in a process of their own alone.

use std::collections::{BTreeSet, HashMap};
use std::process::Command;

use eventsource_runtime::telemetry::Telemetry;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue, global};

/// Set in the processes whose environment it is.
const CHILD: &str = "EVENTSOURCE_TESTS_ENVIRONMENT";

/// What a program says, one of those below, in an environment with these variables.
fn said(program: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    let program = format!("environment::{program}");
    let command = command.args(["--exact", &program, "--nocapture"]).env(CHILD, "1").envs(variables.iter().copied());
    let output = command.output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    shown.lines().find_map(|line| Some(line.split_once("said: ")?.1.to_owned())).expect("it says something")
}

/// Asks the process's propagator for the headers of a request, as the libraries of others do.
#[tokio::test]
async fn a_program_that_asks() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let telemetry = Telemetry::from_env("tests").install().unwrap();
    let ids = (TraceId::from(7_u128), SpanId::from(7_u64));
    let span =
        SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, false, TraceState::from_key_value([("a", "b")]).unwrap());
    let context = Context::new().with_remote_span_context(span).with_baggage([KeyValue::new("tenant", "north")]);
    let mut headers = HashMap::<String, String>::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut headers));
    println!("said: {}", headers.into_keys().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" "));
    telemetry.shutdown().await.unwrap();
}

#[test]
fn the_libraries_of_others_send_what_the_propagators_are_asked_to() {
    let headers = |propagators| said("a_program_that_asks", &[("OTEL_PROPAGATORS", propagators)]);
    assert_eq!(said("a_program_that_asks", &[]), "traceparent tracestate");
    assert_eq!(headers("tracecontext"), "traceparent tracestate");
    assert_eq!(headers("baggage"), "baggage");
    assert_eq!(headers("tracecontext,baggage"), "baggage traceparent tracestate");
    assert_eq!(headers("none"), "");
}
