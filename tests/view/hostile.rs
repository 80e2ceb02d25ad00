//! What spans carry stays text.

use opentelemetry::KeyValue;
use opentelemetry::trace::{Event, Link, Status};

use crate::{context, open, span};

/// Each would do something in a page that took it for more than text.
const HOSTILE: [&str; 7] = [
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"'`${document.title='owned'}",
    "<!--<script>",
    "javascript:document.title='owned'",
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "user\u{202e}nimda\u{2066}\u{200b}\u{feff}",
];

#[test]
fn hostile_text_stays_text() {
    let mut one = span(1, 1, 0, "a", 0, 10);
    let mut two = span(1, 2, 1, "b", 2, 6);
    for (at, text) in HOSTILE.iter().enumerate() {
        one.attributes.push(KeyValue::new(format!("key.{at}"), *text));
        one.attributes.push(KeyValue::new(*text, format!("{at}")));
        one.events.events.push(Event::new(*text, one.start_time, vec![KeyValue::new(*text, *text)], 0));
        two.links.links.push(Link::new(context(9, at as u64 + 1), vec![KeyValue::new(*text, *text)], 0));
    }
    one.status = Status::error(HOSTILE.concat());
    two.name = HOSTILE.concat().into();
    let Some(mut browser) = open(&[one, two]) else { return };
    browser.click(".row");
    browser.wait_for("!document.querySelector('#details').hidden");
    for (at, text) in HOSTILE[..5].iter().enumerate() {
        let shown = format!(
            "[...document.querySelectorAll('#details tr')].find((row) => row.firstChild.textContent === 'key.{at}').lastChild.textContent"
        );
        assert_eq!(browser.text(&shown), *text);
    }
    let details = browser.text("document.querySelector('#details').textContent");
    assert!(
        details.contains("\\u{1b}[2J") && details.contains("user\\u{202e}nimda\\u{2066}\\u{200b}\\u{feff}"),
        "{details}"
    );
    browser.press("ArrowDown");
    browser.wait_for("document.querySelector('#details h2').textContent.includes('nimda')");
    let all = browser.text("document.body.innerText");
    assert!(!all.contains(['\u{1b}', '\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{7}']), "{all:?}");
    assert_eq!(browser.text("document.title"), "tests");
    assert_eq!(browser.value("document.images.length + document.scripts.length"), 2);
    assert_eq!(browser.complaints, [""; 0]);
}

/// The policy stops what the page itself would never do.
#[test]
fn the_policy_lets_nothing_else_run() {
    let Some(mut browser) = open(&[span(1, 1, 0, "a", 0, 10)]) else { return };
    let inline = "(() => { const script = document.createElement('script'); \
        try { script.textContent = \"document.title = 'owned'\"; document.body.append(script); } catch { return 'refused'; } \
        return document.title; })()";
    assert_ne!(browser.text(inline), "owned");
    let markup =
        "(() => { try { document.body.innerHTML = '<b>'; return 'taken'; } catch (error) { return error.name; } })()";
    assert_eq!(browser.text(markup), "TypeError");
    let outside = "fetch('https://example.org/').then(() => 'taken', (error) => error.name)";
    assert_eq!(browser.text(outside), "TypeError");
    assert!(
        browser
            .complaints
            .iter()
            .any(|complaint| complaint.contains("connect-src") || complaint.contains("default-src")),
        "{:?}",
        browser.complaints
    );
}
