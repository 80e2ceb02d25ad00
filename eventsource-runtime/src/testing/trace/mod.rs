//! The spans of one test, and trees of them as text.

mod expected;
mod tree;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::difference::difference;
use crate::sync::Mutex;
use crate::telemetry::Telemetry;
use expected::Expected;

/// Records the spans of what runs in it, separately from every other test's: nothing global is set, so that tests run
/// in parallel under any test runner.
///
/// ```
/// use eventsource_runtime::prelude::*;
/// use eventsource_runtime::testing::TraceRecorder;
/// # #[derive(Event, serde::Serialize, serde::Deserialize)]
/// # struct Deposited { cents: u64 }
/// # #[derive(Aggregate, Default)]
/// # #[aggregate(id = String, events(Deposited))]
/// # struct Account;
/// # impl Apply<Deposited> for Account { fn apply(&mut self, _: Deposited) {} }
/// # #[derive(Command, Clone, serde::Deserialize)]
/// # #[command(aggregate = Account)]
/// # struct Deposit { #[command(id)] account: String, #[command(attribute = "account.cents")] cents: u64 }
/// # #[command_handler]
/// # impl Account {
/// #     fn deposit(&self, command: Deposit) -> Result<Deposited, std::convert::Infallible> {
/// #         Ok(Deposited { cents: command.cents })
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let accounts = Repository::<Account, _>::new(MemoryStore::new());
/// let commands = CommandBus::builder().aggregate(accounts).build();
///
/// let recorder = TraceRecorder::new();
/// recorder.run(commands.dispatch(Deposit { account: "ada".into(), cents: 500 })).await?;
/// recorder.expect(
///     "
///     command.Deposit
///       . account.cents = 500
///       . eventsource.aggregate.id = *
///       load_aggregate
///         ...
///       handle_command
///         ! domain_event_produced
///       persist_events
///         event_store.append
///     ",
/// );
/// # Ok(())
/// # }
/// ```
pub struct TraceRecorder {
    telemetry: Telemetry,
    ended: Ended,
}

/// The spans that have ended, in the order in which they ended.
#[derive(Clone, Debug, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl TraceRecorder {
    /// Records every span, sampled in full.
    ///
    /// # Panics
    /// Telemetry cannot be set up.
    #[must_use]
    #[track_caller]
    pub fn new() -> Self {
        let ended = Ended::default();
        match Telemetry::builder("test").span_processor(ended.clone()).build() {
            Ok(telemetry) => Self { telemetry, ended },
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs a future, recording its spans, and those of the tasks that the crate spawns for it.
    pub async fn run<F: Future>(&self, body: F) -> F::Output {
        self.telemetry.run(body).await
    }

    /// Runs a closure, recording its spans.
    pub fn in_scope<R>(&self, body: impl FnOnce() -> R) -> R {
        let _attached = self.telemetry.attach();
        body()
    }

    /// The set-up behind it, for third-party instrumentation that takes a provider.
    pub const fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// The spans that have ended, in the order in which they ended.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanData> {
        self.ended.0.lock().clone()
    }

    /// Forgets the spans that have ended.
    pub fn clear(&self) {
        self.ended.0.lock().clear();
    }

    /// The names of the spans that have ended, indented by depth, in the form that [`expect`](Self::expect) takes: it
    /// accepts the tree, whatever the names are.
    #[must_use]
    pub fn tree(&self) -> String {
        tree::render(&self.spans(), None)
    }

    /// Compares the spans that have ended with a tree written as text. A span is a line with its name, indented deeper
    /// than its parent; siblings are in the order in which they began. Every span must be named; of what a span
    /// carries, only what the text mentions is compared:
    ///
    /// | line | asks for |
    /// |---|---|
    /// | `name` | a span that did not fail; a name that reads otherwise is a JSON string, as `"charge ERROR"` |
    /// | `name ERROR` | one that failed: status Error |
    /// | `name CLIENT` | one of that kind: `INTERNAL`, `CLIENT`, `SERVER`, `PRODUCER` or `CONSUMER` |
    /// | `. key = value` | an attribute of the span above; `*` in the value stands for anything |
    /// | `~> name` | all links of the span above, by the names of the spans they lead to; `~> ?` for one that was not recorded |
    /// | `! name` | all events of the span above, by their names |
    /// | `...` | any other spans below the span above; without indentation, any other trees |
    ///
    /// # Panics
    /// The spans differ; the panic shows where, line by line. Or the text is no tree.
    #[track_caller]
    pub fn expect(&self, tree: &str) {
        let expected = match Expected::parse(tree) {
            Ok(expected) => expected,
            Err(fault) => panic!("{fault}"),
        };
        let (wanted, found) = (expected.render(), tree::render(&self.spans(), Some(&expected)));
        assert!(
            wanted == found,
            "the trace is not the expected one (- expected, + actual):\n\n{}",
            difference(&wanted, &found)
        );
    }
}

impl Default for TraceRecorder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TraceRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceRecorder").field("ended", &self.spans().len()).finish_non_exhaustive()
    }
}

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
