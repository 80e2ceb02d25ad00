//! The same program built without `otel`: it compiles, it answers the same, and it emits nothing.

#![cfg(not(feature = "otel"))]

use std::alloc::System;
use std::path::Path;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::Filter;
use eventsource_runtime::telemetry::{self, Kind, Options, Scope};
use eventsource_tests::alone::{alone, is_alone, passed};
use eventsource_tests::compiler;
use eventsource_tests::everything::{self, ALLOCATED, ANSWERS, Off, allocated, calls, evaluations, plain};
use eventsource_tests::orders::NotificationService;
use eventsource_tests::placing::{bus, place};
use futures_util::{StreamExt, stream};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Whatever the switches say.
#[tokio::test]
async fn every_component_does_the_same_and_no_expression_of_a_span_is_evaluated() {
    const { assert!(!telemetry::AVAILABLE) };
    let set_up = Telemetry::from_env("off").console_without_endpoint().install().unwrap();
    for off in [Off::default(), Off { spans: "store", metrics: "relay" }] {
        let (answers, _kept) = set_up.run(everything::run(off)).await;
        assert_eq!((answers, evaluations()), (ANSWERS.map(str::to_owned).to_vec(), vec![]));
    }
    set_up.shutdown().await.unwrap();
}

#[test]
fn a_function_allocates_nothing() {
    // The test's harness may allocate on another thread meanwhile, but not each time.
    let least = (0..100).map(|_| {
        let region = Region::new(ALLOCATOR);
        assert_eq!(plain("four"), 4);
        current_span().record("nobody.listens", 1);
        region.change().allocations
    });
    assert_eq!(least.min(), Some(0));
}

/// No neighbour allocates meanwhile. That those are the numbers where spans and metrics are off is in `toggles`.
#[tokio::test]
async fn a_component_allocates_what_the_table_says() {
    if !is_alone() {
        passed(&mut alone("a_component_allocates_what_the_table_says"), 1);
        return;
    }
    for on in [true, false] {
        let calls = calls(|| MemoryStore::new().enable_tracing(on).enable_metrics(on), on);
        assert_eq!(allocated(calls, || ALLOCATOR.stats().allocations).await, ALLOCATED);
    }
}

/// Two of them were missing.
#[tokio::test]
async fn spans_by_hand_are_their_bodies_and_scopes_hold_nothing() {
    let span = || telemetry::span("by.hand").kind(Kind::Client).attribute("n", 1).options(Options::root);
    let parsed = |text: &'static str| move || text.parse::<u8>();
    assert_eq!(span().in_scope(|| 1), 1);
    assert_eq!(span().run(async { 2 }).await, 2);
    assert_eq!(span().try_in_scope(parsed("3")), Ok(3));
    assert!(span().try_run(async { parsed("four")() }).await.is_err());
    let scope = Scope::current();
    assert_eq!(scope.in_scope(|| 5), 5);
    assert_eq!(scope.clone().run(async { 6 }).await, 6);
    let rows = span().stream(scope.stream(stream::iter([7])));
    assert_eq!(rows.collect::<Vec<_>>().await, [7]);
}

#[tokio::test]
async fn events_are_stored_without_a_context() {
    let store = MemoryStore::new();
    bus(&store).dispatch(place(Uuid::now_v7())).await.unwrap();
    let page = store.read_all(Position::START, &Filter::all(), 10).await.unwrap();
    assert_eq!(page.events[0].trace_context, None);
    NotificationService::new(true).send_email("ada@example.org", "hello").await.unwrap();
}

const MOVED: &str = r#""code":"E0507""#;
const ALONE: &str = "sees `result` alone, and not `n`";
/// What is said of options, these, and the function that they are of. They were checked as if they were called once.
const REFUSED: &[(&str, &str, &str)] = &[
    (MOVED, "attributes(\"n\" = text.into_bytes().len())", "fn f(text: String) {}"),
    (MOVED, "record(\"n\" = text.into_bytes().len())", "fn f(text: String) {}"),
    (ALONE, "record(\"n\" = n)", "fn f(n: u32) -> impl Future<Output = u8> { async { 1 } }"),
    (ALONE, "record(\"n\" = n)", "fn f(n: u32) -> Pin<Box<dyn Future<Output = u8>>> { Box::pin(async { 1 }) }"),
];

#[test]
fn what_is_refused_with_spans_is_refused() {
    for (number, (expected, options, function)) in REFUSED.iter().enumerate() {
        let source = format!("use std::pin::Pin;\n#[eventsource_runtime::traced({options})]\npub {function}");
        let (name, scratch) = (format!("refused_{number}"), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let said = compiler::said("rustc", scratch, &name, &source).expect("the compiler is installed");
        assert!(said.contains(expected), "`{options}` of `{function}`: {said}");
    }
}

/// Functions with these attributes: a plain one, one that may fail, an async one that is polled, and a method.
fn functions(sum: &str, checked: &str, later: &str, method: &str) -> String {
    format!(
        r#"
        use std::pin::pin;
        use std::task::{{Context, Poll}};

        {sum}
        #[unsafe(no_mangle)]
        pub fn sum(n: u64, text: &str) -> u64 {{ n + text.len() as u64 }}

        {checked}
        #[unsafe(no_mangle)]
        pub fn checked(n: u64) -> Result<u64, std::num::TryFromIntError> {{ Ok(u64::from(u32::try_from(n)?) + 1) }}

        {later}
        async fn later(n: u64, text: &str) -> u64 {{ std::future::ready(n).await * text.len() as u64 }}

        #[unsafe(no_mangle)]
        pub fn polled(n: u64, text: &str, task: &mut Context<'_>) -> Poll<u64> {{ pin!(later(n, text)).poll(task) }}

        pub struct Counter(u64);

        impl Counter {{
            {method}
            fn count(&mut self, by: u64) -> u64 {{ self.0 += by; self.0 }}
        }}

        #[unsafe(no_mangle)]
        pub fn counted(counter: &mut Counter) -> u64 {{ counter.count(3) }}
        "#
    )
}

/// Compared as text, to the last instruction.
#[test]
fn nothing_of_a_span_is_left_in_the_assembly() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let assembly = |name, source: &str| compiler::assembly(scratch, name, source).expect("the compiler is installed");
    let bare = functions("", "", "", "");
    let traced = "#[eventsource_runtime::traced";
    let spans = functions(
        &format!(r#"{traced}("sum.of", attributes(n, "text" = %text.to_uppercase()))]"#),
        &format!(r#"{traced}(kind = "client", attributes(n), record("sum" = ?result))]"#),
        &format!(r#"{traced}(attributes("n" = n, "text" = text.to_owned()), enable_tracing = n > 3)]"#),
        &format!("{traced}(attributes(by), root)]"),
    );
    let bare_assembly = assembly("bare", &bare);
    assert!(["sum", "checked", "polled", "counted"].iter().all(|name| bare_assembly.contains(&format!("{name}:"))));
    assert_eq!(assembly("spans", &spans), bare_assembly);
    assert_ne!(assembly("other", &bare.replace("* text.len()", "+ text.len()")), bare_assembly, "they are compared");
}
