//! Spans by hand.

use eventsource_runtime::telemetry::{self, Kind};
use eventsource_tests::recorder::Recorder;
use tokio::task::yield_now;

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

/// What a set-up was told to run hung on what was current when it was told.
#[tokio::test]
async fn what_runs_in_a_set_up_is_below_the_span_that_it_is_polled_in() {
    let recorder = Recorder::new();
    let body = async {
        let inner = || recorder.telemetry().run(telemetry::span("inner").run(yield_now()));
        let told_elsewhere = telemetry::span("elsewhere").in_scope(inner);
        telemetry::span("outer").run(async { tokio::join!(told_elsewhere, inner()) }).await;
    };
    recorder.run(body).await;
    assert_eq!(recorder.trees().render(), "elsewhere\nouter\n  inner\n  inner\n");
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
