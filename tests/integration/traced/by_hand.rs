//! Spans by hand.

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::{self, Kind};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::registry::Measured;

use super::{rendered, values};

#[tokio::test]
async fn spans_by_hand_stand_behind_the_same_switch() {
    let by_hand = || telemetry::span("by.hand").kind(Kind::Client).attribute("rows", 3).in_scope(|| values("x"));
    let (_, tree) = rendered(async { by_hand() }).await;
    assert!(tree.starts_with("by.hand CLIENT\n  . rows=3\n  values\n"), "{tree}");
    let ((), tree) = rendered(async {
        telemetry::span("off").options(|options| options.enable_tracing(false)).in_scope(by_hand);
    })
    .await;
    assert_eq!(tree, "");
}

/// As a traced function's; the body that fails is none the wiser.
#[tokio::test]
async fn a_body_that_fails_fails_its_span() {
    let parsed = |text: &'static str| move || text.parse::<u8>();
    let ((), tree) = rendered(async {
        let done = telemetry::span("done").try_in_scope(parsed("7"));
        let failed = telemetry::span("failed").try_in_scope(parsed("seven"));
        let later = telemetry::span("later").try_run(async { parsed("seven")() }).await;
        let off = telemetry::span("off").options(|options| options.enable_tracing(false)).try_in_scope(parsed("seven"));
        assert_eq!(done, Ok(7));
        assert!([failed, later, off].iter().all(Result::is_err));
    })
    .await;
    let failed = ["failed", "later"].map(|name| format!("{name} ERROR\n  . error.type=ParseIntError\n"));
    assert_eq!(tree, format!("done\n{}", failed.concat()));
}

#[traced(record("answer" = result.as_str()))]
fn recorded(length: usize) -> String {
    "x".repeat(length)
}

#[tokio::test]
async fn what_is_cut_is_counted_wherever_it_was_recorded() {
    let (recorder, metrics) = Recorder::measured();
    let long = || "x".repeat(telemetry::MAX_TEXT + 1);
    recorder
        .run(async {
            recorded(telemetry::MAX_TEXT + 1);
            telemetry::span("by hand").attribute("key", long()).in_scope(|| ());
            telemetry::span("lists").attribute("many", vec!["x"; 129]).attribute("long", [long()]).in_scope(|| ());
        })
        .await;
    recorder.flush().await;
    assert_eq!(Measured::total(&metrics, "eventsource.attributes.cut"), 4);
}
