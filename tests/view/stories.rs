//! A command, what it led to, and how a reader gets from one to the other.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::SqliteStore;
use eventsource_tests::orders::{Order, OrderLine, OrderReadModel, PlaceOrder, ShipOrder};
use eventsource_tests::recorder::Recorder;
use eventsource_tests::scratch::Scratch;
use opentelemetry::trace::Link;
use opentelemetry_sdk::trace::SpanData;
use uuid::Uuid;

use crate::{Browser, context, open, span};

async fn product() -> Vec<SpanData> {
    let recorder = Recorder::new();
    work(&recorder).await;
    recorder.spans()
}

/// Three commands, one of them rejected, and their projection.
async fn work(recorder: &Recorder) {
    let work = async {
        let store = SqliteStore::open(":memory:").await.unwrap();
        let bus = CommandBus::builder().aggregate(Repository::<Order, _>::new(store.clone())).build();
        let projections = ProjectionRunner::new(store).projection(OrderReadModel).spawn();
        let order_id = Uuid::from_u128(7);
        let lines = vec![OrderLine { product: "Keyboard".into(), quantity: 1 }];
        let (customer, shipping_address) = ("Ada".into(), "1 Analytical Row".into());
        let place = PlaceOrder { order_id, user_id: "user-7".into(), customer, lines, shipping_address };
        let ship = ShipOrder { order_id, carrier: "North Post".into(), tracking: "T-1".into() };
        let placed = bus.dispatch(place.clone()).await.unwrap();
        projections.wait_for(placed.position).await.unwrap();
        bus.dispatch(place).await.unwrap_err();
        let shipped = bus.dispatch(ship).await.unwrap();
        projections.wait_for(shipped.position).await.unwrap();
        projections.shutdown().await.unwrap();
    };
    recorder.run(work).await;
}

#[tokio::test]
async fn a_set_up_writes_the_page_on_a_flush_and_at_shutdown() {
    let scratch = Scratch::new();
    let path = scratch.folder().join("view.html");
    let recorder = Recorder::with(|builder| builder.view(&path));
    work(&recorder).await;
    recorder.flush().await;
    let page = fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"), "{page}");
    for loads in ["src=", "href=", "<link", "@import", "url(http"] {
        assert!(!page.contains(loads), "{loads}: it needs nothing but itself");
    }
    let spans = recorder.spans();
    assert!(spans.iter().any(|span| span.name == "projection.OrderReadModel"));
    for span in &spans {
        assert!(page.contains(&format!("\"{}\"", span.name)), "{}", span.name);
    }
    fs::remove_file(&path).unwrap();
    recorder.telemetry().shutdown().await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), page);

    let Some(mut browser) = Browser::start() else { return };
    browser.open(&page);
    let summary = browser.text("document.querySelector('#summary').textContent");
    assert!(summary.starts_with(&format!("{} spans · ", spans.len())), "{summary}");
    assert_eq!(browser.value("performance.getEntriesByType('resource').length"), 0);
    assert_eq!(browser.complaints, [""; 0]);
}

#[tokio::test]
async fn a_click_opens_the_attributes_and_a_link_leads_to_its_span() {
    let Some(mut browser) = open(&product().await) else { return };
    // The story of the first command: its own trace, and the projection's.
    let names = "[...document.querySelectorAll('.row')].sort((a, b) => parseInt(a.style.top) - parseInt(b.style.top)).map((row) => row.querySelector('.name').textContent).join(' ')";
    assert_eq!(
        browser.text(names),
        "command.PlaceOrder load_aggregate snapshot_store.get event_store.load handle_command persist_events event_store.append \
         projection.OrderReadModel handler.placed projection.insert_read_model"
    );
    browser.wait_for("document.querySelectorAll('#curves path').length === 1");
    arrow(&mut browser, ["persist_events", "projection.OrderReadModel"]);
    browser.click(".row:has(.name[title='command.PlaceOrder'])");
    browser.wait_for("!document.querySelector('#details').hidden");
    let user = "[...document.querySelectorAll('#details tr')].find((row) => row.firstChild.textContent === 'command.user_id').lastChild.textContent";
    assert_eq!(browser.text(user), "user-7");
    browser.click(".row:has(.name[title='persist_events'])");
    browser.wait_for("document.querySelector('#details h2').textContent === 'persist_events'");
    // What is drawn follows the click with the next frame.
    for led_to in ["projection.OrderReadModel", "persist_events"] {
        browser.click("#details .link");
        browser.wait_for(&format!("document.querySelector('#details h2').textContent === {led_to:?}"));
        browser.wait_for(&format!("{} === {led_to:?}", Browser::CHOSEN));
    }
    assert_eq!(browser.complaints, [""; 0]);
    picture(&mut browser);
}

/// The only one runs from the middle of one span's row to that of the other's, and its head is there.
fn arrow(browser: &mut Browser, [from, to]: [&str; 2]) {
    let head = "document.querySelector('#curves path').getAttribute('marker-end')";
    assert_eq!(browser.text(head), "url(#head)");
    assert_eq!(browser.value("document.querySelectorAll('marker#head path').length"), 1);
    let ends = "(() => { const path = document.querySelector('#curves path'), on = path.getScreenCTM(); \
        return [0, path.getTotalLength()].map((at) => path.getPointAtLength(at).matrixTransform(on).y); })()";
    let ends = browser.value(ends);
    for (at, name) in [from, to].into_iter().enumerate() {
        let middle = format!(
            "(() => {{ const row = document.querySelector(`.row:has(.name[title='{name}'])`).getBoundingClientRect(); \
             return row.y + row.height / 2; }})()"
        );
        let middle = browser.value(&middle).as_f64().unwrap();
        assert!((ends[at].as_f64().unwrap() - middle).abs() < 2.0, "{name} at {middle}, the arrow from and to {ends}");
    }
}

/// With `UPDATE_PICTURE` set the picture in the documentation is made anew.
fn picture(browser: &mut Browser) {
    if std::env::var_os("UPDATE_PICTURE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../eventsource-runtime/docs/view.png");
        fs::write(path, BASE64_STANDARD.decode(browser.picture()).unwrap()).unwrap();
    }
}

#[tokio::test]
async fn everything_can_be_done_with_keys() {
    let Some(mut browser) = open(&product().await) else { return };
    assert_eq!(browser.chosen(), "command.PlaceOrder");
    for (key, chosen) in [
        ("ArrowDown", "load_aggregate"),
        ("ArrowRight", "snapshot_store.get"),
        ("ArrowLeft", "load_aggregate"),
        // Folds, so that the next one down is its sibling.
        ("ArrowLeft", "load_aggregate"),
        ("ArrowDown", "handle_command"),
        ("ArrowDown", "persist_events"),
        ("l", "projection.OrderReadModel"),
        ("l", "persist_events"),
        ("]", "projection.OrderReadModel"),
        ("]", "! command.PlaceOrder"),
        ("e", "! handle_command"),
        ("e", "! command.PlaceOrder"),
    ] {
        browser.press(key);
        browser.wait_for(&format!("{} === {chosen:?}", Browser::CHOSEN));
    }
    browser.wait_for("!document.querySelector('#details').hidden");
    // Within the details keys scroll, and what has the focus shows it.
    browser.press("Enter");
    browser.press("PageDown");
    browser.press("ArrowDown");
    assert_eq!(browser.chosen(), "! command.PlaceOrder");
    let focused = "(() => { const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement); \
        return `${document.activeElement.id} ${outlineStyle} ${outlineWidth}`; })()";
    assert_eq!(browser.text(focused), "details solid 2px");
    let option = "document.getElementById(document.querySelector('#traces').getAttribute('aria-activedescendant'))";
    for (id, key, selected) in [
        ("rows", "[", "projection.OrderReadModel"),
        ("traces", "ArrowDown", "! command.PlaceOrder"),
        ("traces", "Home", "Everything"),
        ("traces", "End", "projection.OrderReadModel"),
        ("traces", "ArrowUp", "command.ShipOrder"),
    ] {
        browser.value(&format!("document.querySelector('#{id}').focus()"));
        assert_eq!(browser.text(focused), format!("{id} solid 2px"));
        browser.press(key);
        browser.wait_for(&format!("{option}?.matches('[aria-selected=true]')"));
        assert_eq!(browser.text(&format!("{option}.querySelector('b').textContent")), selected);
    }
    browser.press("Escape");
    browser.wait_for("document.querySelector('#details').hidden");
    browser.press("/");
    for letter in "t-1".chars() {
        browser.press(&letter.to_string());
    }
    browser.press("Escape");
    let dark = "getComputedStyle(document.body).backgroundColor";
    let before = browser.text(dark);
    browser.press("t");
    browser.wait_for(&format!("{dark} !== {before:?}"));
    browser.press("?");
    browser.wait_for("document.querySelector('#keys').open");
    assert_eq!(browser.complaints, [""; 0]);
}

#[tokio::test]
async fn the_list_is_filtered_by_text_and_by_what_failed() {
    let Some(mut browser) = open(&product().await) else { return };
    browser.click("#search");
    for letter in "insert_read".chars() {
        browser.press(&letter.to_string());
    }
    browser.wait_for("document.querySelectorAll('.trace').length === 1");
    assert!(browser.text("document.querySelector('.trace').textContent").starts_with("projection.OrderReadModel"));
    for _ in "insert_read".chars() {
        browser.press("Backspace");
    }
    browser.click("#failed");
    browser.wait_for("document.querySelectorAll('.trace').length === 1");
    assert!(browser.text("document.querySelector('.trace').textContent").starts_with("! command.PlaceOrder"));
}

/// A replay months later stands beside its command, and the pause between them is told.
#[test]
fn a_long_pause_is_folded() {
    let month = 30 * 86_400 * 1_000_000;
    let mut replayed = span(2, 9, 0, "projection.Orders", month, month + 500);
    replayed.links.links.push(Link::new(context(1, 1), Vec::new(), 0));
    let Some(mut browser) = open(&[span(1, 1, 0, "command.PlaceOrder", 0, 1000), replayed]) else { return };
    assert_eq!(browser.text("document.querySelector('#ticks .later').textContent"), "30 d later");
    let widths =
        browser.value("[...document.querySelectorAll('.bar')].map((bar) => bar.getBoundingClientRect().width)");
    let width = |at: usize| widths[at].as_f64().unwrap();
    assert!((width(0) / width(1) - 2.0).abs() < 0.1, "{widths}");
}

/// Foreign ids can make a circle of parents, name the same span twice, or lead to themselves.
#[test]
fn circles_are_shown() {
    let mut own = span(1, 4, 4, "own", 0, 10);
    own.links.links.push(Link::new(context(1, 4), Vec::new(), 0));
    let circle = [span(1, 2, 3, "first", 0, 10), span(1, 3, 2, "second", 1, 9), own];
    let Some(mut browser) = open(&circle) else { return };
    browser.wait_for("document.querySelectorAll('.row').length === 3");
    browser.press("ArrowDown");
    browser.press("ArrowLeft");
    browser.wait_for("document.querySelectorAll('.row').length === 2");
    assert_eq!(browser.complaints, [""; 0]);
}
