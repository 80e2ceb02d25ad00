//! Functions with three attributes each: a literal, a number and a `Display`. Every other one is async.

use super::How;

pub(crate) const FUNCTIONS: u32 = 1_000;

/// Polls each future once, so that it is compiled, and tells how large all are together.
const USED: &str = r"
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Waker};

#[derive(Debug)]
pub struct Refused(u64);

fn poll(future: impl Future<Output = Result<u64, Refused>>) -> usize {
    let bytes = size_of_val(&future);
    let _ = black_box(pin!(future).poll(&mut Context::from_waker(Waker::noop())));
    bytes
}
";

const BY_HAND: &str = r#"
use opentelemetry::KeyValue;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::trace::{FutureExt, SpanBuilder, TraceContextExt, Tracer};
use std::sync::LazyLock;

static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| global::tracer("bench"));
"#;

pub(crate) fn functions(how: How) -> String {
    let prelude = match how {
        How::ByHand => BY_HAND,
        How::Ours => "use eventsource_runtime::prelude::*;\n",
        How::Bare | How::Tracing | How::Fastrace => "",
    };
    let functions: String = (0..FUNCTIONS).map(|number| function(how, number)).collect();
    let calls: String = (0..FUNCTIONS)
        .map(|number| {
            let call = format!("f{number}(1, &2)");
            if is_async(number) {
                format!("    bytes += poll({call});\n")
            } else {
                format!("    let _ = black_box({call});\n")
            }
        })
        .collect();
    format!(
        "#![allow(dead_code, unused_variables)]\n{prelude}{USED}{functions}\nfn main() {{\n    let mut bytes = 0;\n{calls}    println!(\"{{bytes}}\");\n}}\n"
    )
}

const fn is_async(number: u32) -> bool {
    !number.is_multiple_of(2)
}

fn function(how: How, number: u32) -> String {
    let name = format!("sender.f{number}");
    let attribute = match how {
        How::Bare | How::ByHand => String::new(),
        How::Ours => {
            format!(
                r#"#[traced("{name}", attributes("channel" = "email", "message.length" = count, "recipient.id" = %id))]"#
            )
        }
        How::Tracing => format!(
            r#"#[tracing::instrument(name = "{name}", skip_all, fields(channel = "email", message.length = count, recipient.id = %id))]"#
        ),
        How::Fastrace => format!(
            r#"#[fastrace::trace(name = "{name}", properties = {{ "channel": "email", "message.length": "{{count}}", "recipient.id": "{{id}}" }})]"#
        ),
    };
    let word = if is_async(number) { "async " } else { "" };
    let body = format!("if count > {number} {{ Err(Refused(count)) }} else {{ Ok({number}) }}");
    let body = if how == How::ByHand { by_hand(&name, &body, is_async(number)) } else { body };
    format!("{attribute}\npub {word}fn f{number}(count: u64, id: &u128) -> Result<u64, Refused> {{ {body} }}\n")
}

fn by_hand(name: &str, body: &str, is_async: bool) -> String {
    let context = format!(
        r#"
    let attributes = vec![
        KeyValue::new("channel", "email"),
        KeyValue::new("message.length", i64::try_from(count).unwrap_or(i64::MAX)),
        KeyValue::new("recipient.id", id.to_string()),
    ];
    let span = TRACER.build(SpanBuilder::from_name("{name}").with_attributes(attributes));
    let context = opentelemetry::Context::current_with_span(span);
"#
    );
    if is_async {
        format!("{context} async move {{ {body} }}.with_context(context).await")
    } else {
        format!("{context} let _attached = context.attach(); {body}")
    }
}
