//! Five thousand spans are readable, and fast.

use opentelemetry::KeyValue;
use opentelemetry::trace::Link;
use opentelemetry_sdk::trace::SpanData;

use crate::{context, open, span};

/// A thousand commands of four spans each, and a projection in batches of ten with a link an event.
fn many() -> Vec<SpanData> {
    let mut spans = Vec::new();
    for nth in 0..1000_u64 {
        let (trace, id, at) = (u128::from(nth) + 1, nth * 10 + 1, nth * 1500);
        let mut command = span(trace, id, 0, "command.PlaceOrder", at, at + 1000);
        command
            .attributes
            .extend((0..8).map(|key| KeyValue::new(format!("key.{key}"), format!("value {key} of {nth}"))));
        spans.extend([
            command,
            span(trace, id + 1, id, "load_aggregate", at, at + 200),
            span(trace, id + 2, id, "handle_command", at + 200, at + 300),
            span(trace, id + 3, id, "persist_events", at + 300, at + 1000),
        ]);
        let mut projection = span(trace + 5000, id + 4, 0, "projection.Orders", at + 1200, at + 1500);
        let linked = (nth - nth % 10..=nth).map(|one| context(u128::from(one) + 1, one * 10 + 4));
        projection.links.links.extend(linked.map(|to| Link::new(to, Vec::new(), 0)));
        spans.push(projection);
    }
    spans
}

#[test]
fn five_thousand_spans_are_fast() {
    let spans = many();
    assert_eq!(spans.len(), 5000);
    let Some(mut browser) = open(&spans) else { return };
    assert_eq!(
        browser.text("document.querySelector('#summary').textContent.split(' · ').slice(0, 2).join()"),
        "5000 spans,2000 traces"
    );
    browser.click(".trace");
    browser.wait_for("document.querySelector('#story').textContent.startsWith('Everything')");
    // Time moves along with the rows, so that their bars can be read.
    browser.wait_for("Math.max(...[...document.querySelectorAll('.bar')].map((bar) => bar.offsetWidth)) > 50");
    // What is out of sight is not there.
    let elements = browser.value("document.querySelectorAll('*').length").as_u64().unwrap();
    assert!(elements < 3000, "{elements} elements");
    browser.press("End");
    browser.wait_for("document.querySelector('.row[aria-selected=true] .name')?.textContent === 'projection.Orders'");
    // Nor is it drawn anew: a frame costs what is in sight, however many spans there are. How long that takes on a busy
    // machine is told, the best of ten.
    let redrawn = "(async () => { const frame = () => new Promise(requestAnimationFrame); \
        let best = Infinity, most = 0; \
        const box = document.querySelector('#rows'), drawn = new MutationObserver(() => {}); \
        const nodes = (node) => 1 + (node.querySelectorAll ? node.querySelectorAll('*').length : 0); \
        drawn.observe(document.body, { childList: true, subtree: true }); \
        for (let n = 1; n <= 10; n++) { await frame(); drawn.takeRecords(); \
        const from = performance.now(); box.scrollTop = n * 5000; rows.paint(true); box.offsetHeight; \
        best = Math.min(best, performance.now() - from); \
        const added = drawn.takeRecords().flatMap((record) => [...record.addedNodes]); \
        most = Math.max(most, added.reduce((sum, node) => sum + nodes(node), 0)); } return [most, best]; })()";
    let redrawn = browser.value(redrawn);
    let (most, best) = (redrawn[0].as_u64().unwrap(), redrawn[1].as_f64().unwrap());
    eprintln!("a page of 5,000 spans: {elements} elements, of which {most} are drawn anew in {best:.1} ms");
    assert!((1..3000).contains(&most), "{most} elements drawn anew");
    let loaded = browser.value("performance.getEntriesByType('navigation')[0].domComplete").as_f64().unwrap();
    eprintln!("loaded in {loaded:.0} ms");
    assert_eq!(browser.complaints, [""; 0]);
}
