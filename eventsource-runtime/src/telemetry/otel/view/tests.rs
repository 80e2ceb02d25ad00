use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use sha2::{Digest, Sha256};

use super::keeper::{Keeper, MOST_SPANS};
use super::{TraceView, data, page};
use crate::telemetry::otel::tree::tests::span;

#[test]
fn the_policy_names_the_script_and_the_style() {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    assert_eq!(page::SCRIPT_HASH, hash(page::SCRIPT), "write the new hash into `page.rs`");
    assert_eq!(page::STYLE_HASH, hash(page::STYLE), "write the new hash into `page.rs`");
}

/// Whatever it holds, the script that holds the data ends where it should: a browser reads up to `</`.
#[test]
fn no_span_can_end_the_script_that_holds_it() {
    let hostile = "</script><!--<script>&\u{2028}\u{9b}";
    let mut one = span(1, 1, 0, "a", 0, 1);
    one.name = hostile.into();
    one.status = Status::error(hostile);
    one.attributes.push(KeyValue::new(hostile, hostile));
    let json = data::json(&[one], 0);
    assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{9b}']), "{json}");
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["spans"][0]["s"], hostile);
    assert_eq!(read["spans"][0]["a"][0][1], hostile);
}

#[test]
fn a_title_is_text() {
    let page = TraceView::new("{data}</title><script>\u{202e}").render(&[]);
    assert!(page.contains("<title>{data}&lt;/title&gt;&lt;script&gt;\\u{202e}</title>"));
    assert_eq!(page.matches("<script").count(), 2);
}

#[test]
fn numbers_that_javascript_cannot_hold_stay_exact() {
    let mut one = span(1, 1, 0, "a", 0, 1);
    one.attributes.extend([
        KeyValue::new("far", i64::MAX),
        KeyValue::new("near", 7),
        KeyValue::new("none", f64::NAN),
        KeyValue::new("half", 0.5),
    ]);
    let read: serde_json::Value = serde_json::from_str(&data::json(&[one], 0)).unwrap();
    let values: Vec<_> = (0..4).map(|at| &read["spans"][0]["a"][at][1]).collect();
    assert_eq!(values, [&"9223372036854775807".into(), &7.into(), &"NaN".into(), &serde_json::json!(0.5)]);
}

#[test]
fn the_oldest_spans_make_room_and_are_counted() {
    let path = std::env::temp_dir().join(format!("eventsource-view-{}.html", uuid::Uuid::now_v7()));
    let keeper = Keeper::new(path.clone(), TraceView::new("many"));
    let one: SpanData = span(1, 1, 0, "a", 0, 1);
    for _ in 0..MOST_SPANS + 3 {
        keeper.on_end(one.clone());
    }
    keeper.force_flush().unwrap();
    let written = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(written.contains("\"left_out\":3"));
    assert_eq!(written.matches("\"i\":").count(), MOST_SPANS);
    let nowhere = Keeper::new(path.join("none.html"), TraceView::new("none"));
    let error = nowhere.force_flush().unwrap_err().to_string();
    assert!(error.contains("none.html"), "{error}");
}

/// They shared the file beside it: a flush failed when the other one's had taken its file away.
#[test]
fn two_that_write_one_page_leave_it_whole_and_nothing_beside_it() {
    let folder = std::env::temp_dir().join(format!("eventsource-view-{}", uuid::Uuid::now_v7()));
    fs::create_dir(&folder).unwrap();
    let path = folder.join("view.html");
    std::thread::scope(|threads| {
        for title in ["one", "other"] {
            let keeper = Keeper::new(path.clone(), TraceView::new(title));
            let path = &path;
            threads.spawn(move || {
                for _ in 0..50 {
                    keeper.force_flush().unwrap();
                    assert!(fs::read_to_string(path).unwrap().trim_end().ends_with("</html>"));
                }
            });
        }
    });
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_page_that_cannot_take_its_place_leaves_nothing_beside_it() {
    let folder = std::env::temp_dir().join(format!("eventsource-view-{}", uuid::Uuid::now_v7()));
    let taken = folder.join("view.html");
    fs::create_dir_all(taken.join("by a folder")).unwrap();
    Keeper::new(taken, TraceView::new("none")).force_flush().unwrap_err();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    fs::remove_dir_all(&folder).unwrap();
}
