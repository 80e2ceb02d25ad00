//! What a user's tests are made of: they pass where they should, and say clearly what is wrong where they should not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::span;
use eventsource_runtime::testing::{TraceRecorder, given};
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize)]
struct Opened;

#[derive(Event, Serialize, Deserialize)]
struct Noted {
    text: String,
    pages: Vec<u32>,
}

/// It is written as a number and read as a text.
#[derive(Event, Serialize, Deserialize)]
struct Lopsided {
    #[serde(serialize_with = "as_number")]
    text: String,
}

#[expect(clippy::ptr_arg, reason = "as serde calls it")]
fn as_number<S: serde::Serializer>(text: &String, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(text.len() as u64)
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, error = Closed, events(Opened, Noted, Lopsided))]
struct Book {
    open: bool,
    notes: usize,
}

impl Apply<Opened> for Book {
    fn apply(&mut self, _: Opened) {
        self.open = true;
    }
}

impl Apply<Noted> for Book {
    fn apply(&mut self, _: Noted) {
        self.notes += 1;
    }
}

impl Apply<Lopsided> for Book {
    fn apply(&mut self, _: Lopsided) {}
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the book is closed, and has {notes} notes")]
struct Closed {
    notes: usize,
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Book)]
struct Note {
    #[command(id)]
    book: u64,
    text: String,
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Book)]
struct Ponder {
    #[command(id)]
    book: u64,
}

#[command_handler]
impl Book {
    fn note(&self, command: Note) -> Result<Option<Noted>, Closed> {
        if !self.open {
            return Err(Closed { notes: self.notes });
        }
        Ok((!command.text.is_empty()).then(|| Noted { text: command.text, pages: vec![1] }))
    }

    async fn ponder(&self, _: Ponder) -> Result<(), Closed> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

fn note(text: &str) -> Note {
    Note { book: 1, text: text.into() }
}

fn noted(text: &str) -> Noted {
    Noted { text: text.into(), pages: vec![1] }
}

/// What a panic says.
fn said<R>(body: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(_) => "nothing".to_owned(),
        Err(panic) => panic.downcast::<String>().map_or_else(|_| "something else".into(), |text| *text),
    }
}

#[test]
fn a_story_goes_on_from_command_to_command() {
    let book = given::<Book>((Opened, noted("a")))
        .when(note("b"))
        .then(noted("b"))
        .when(note(""))
        .then(())
        .when(note("c"))
        .then([noted("c")]);
    assert_eq!(book.state().notes, 3);
    given::<Book>(()).when(note("a")).then_rejected(Closed { notes: 0 });
    given::<Book>(vec![noted("a")]).when(note("b")).then_rejected_if("a closed book", |refusal| refusal.notes == 1);
}

#[tokio::test]
async fn a_handler_that_waits_is_awaited() {
    given::<Book>(Opened).when_async(Ponder { book: 1 }).await.then(());
    let panic = said(|| given::<Book>(Opened).when(Ponder { book: 1 }));
    assert_eq!(panic, "the handler of `Ponder` waits for something; use `when_async(..).await`");
}

#[test]
fn other_events_are_shown_side_by_side() {
    let panic = said(|| given::<Book>(Opened).when(note("b")).then((noted("a"), Opened)));
    let expected = r#"`Note`, given Opened, led to other events (- expected, + actual):

    Noted {
      "pages": [
        1
      ],
  -   "text": "a"
  +   "text": "b"
    }
  - Opened
"#;
    assert_eq!(panic, expected);
}

#[test]
fn a_rejection_in_the_place_of_events_is_shown() {
    let panic = said(|| given::<Book>(()).when(note("b")).then(Opened));
    let expected = "`Note`, given no events, was rejected: the book is closed, and has 0 notes (Closed { notes: 0 })\n\n\
        expected:\n\n  - Opened\n";
    assert_eq!(panic, expected);
}

#[test]
fn events_in_the_place_of_a_rejection_are_shown() {
    let panic = said(|| given::<Book>(Opened).when(note("")).then_rejected(Closed { notes: 0 }));
    let expected =
        "`Note`, given Opened, was not rejected (- expected, + actual):\n\n  - Closed { notes: 0 }\n  + no events\n";
    assert_eq!(panic, expected);
    let panic = said(|| given::<Book>(()).when(note("")).then_rejected(Closed { notes: 1 }));
    let expected = "`Note`, given no events, was rejected otherwise (- expected, + actual):\n\n  \
        - Closed { notes: 1 }\n  + Closed { notes: 0 }\n";
    assert_eq!(panic, expected);
}

#[derive(Aggregate, Default)]
#[aggregate(id = u64, error = Trouble, fault = Trouble::is_away, events(Opened))]
struct Shop;

impl Apply<Opened> for Shop {
    fn apply(&mut self, _: Opened) {}
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum Trouble {
    #[error("the shop is closed")]
    Closed,
    #[error("the bank does not answer")]
    Away,
}

impl Trouble {
    fn is_away(&self) -> bool {
        matches!(self, Self::Away)
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Shop)]
struct Pay {
    #[command(id)]
    shop: u64,
    away: bool,
}

#[command_handler]
impl Shop {
    fn pay(&self, command: Pay) -> Result<Opened, Trouble> {
        Err(if command.away { Trouble::Away } else { Trouble::Closed })
    }
}

/// It was green, and a process manager would never have been told of a refusal.
#[test]
fn a_command_that_fails_is_not_rejected() {
    let pay = |away| given::<Shop>(()).when(Pay { shop: 1, away });
    pay(false).then_rejected(Trouble::Closed);
    pay(true).then_failed_if("no answer", Trouble::is_away);
    let panic = said(|| pay(true).then_rejected(Trouble::Away));
    assert_eq!(panic, "`Pay`, given no events, was not rejected: it failed: the bank does not answer (Away)");
    let panic = said(|| pay(false).then_failed_if("no answer", |_| true));
    assert_eq!(panic, "`Pay`, given no events, did not fail: it was rejected: the shop is closed (Closed)");
    let panic = said(|| pay(true).then(Opened));
    assert!(panic.starts_with("`Pay`, given no events, failed: the bank does not answer (Away)"), "{panic}");
}

#[test]
fn an_event_that_cannot_be_read_back_is_noticed() {
    let panic = said(|| given::<Book>(Lopsided { text: "a".into() }));
    assert!(panic.contains("`Lopsided` cannot be read back"), "{panic}");
}

/// Two below one another, one that fails, one of another kind.
fn spans() {
    span("outer").attribute("user.name", "ada").in_scope(|| {
        span("first").in_scope(|| span("inner").attribute("number", 7_i64).in_scope(|| ()));
        span("second").kind(eventsource_runtime::telemetry::Kind::Client).in_scope(|| ());
    });
    span("other tree").in_scope(|| ());
}

fn recorded() -> TraceRecorder {
    let recorder = TraceRecorder::new();
    recorder.in_scope(spans);
    recorder
}

#[test]
fn a_tree_is_what_it_says() {
    let recorder = recorded();
    assert_eq!(recorder.tree(), "outer\n  first\n    inner\n  second\nother tree\n");
    recorder.expect(&recorder.tree());
    recorder.expect("outer\n  ...\nother tree");
    recorder.expect("outer\n  second\n  ...\n...");
    recorder.expect(
        "outer\n  . user.name = a*\n  first INTERNAL\n    inner\n      . number = 7\n  second CLIENT\nother tree",
    );
    recorder.clear();
    recorder.expect("");
}

#[test]
fn what_a_tree_lacks_has_too_much_or_has_otherwise_is_shown_where_it_stands() {
    let text = "
        outer
          . user.name = bob
          . user.age = *
          first ERROR
          second SERVER
            missing
        ";
    let expected = "the trace is not the expected one (- expected, + actual):

    outer
  -   . user.name = bob
  -   . user.age = *
  -   first ERROR
  -   second SERVER
  -     missing
  +   . user.name = ada
  +   first
  +     inner
  +   second CLIENT
  + other tree
";
    assert_eq!(said(|| recorded().expect(text)), expected);
    let nothing = said(|| TraceRecorder::new().expect("outer"));
    assert_eq!(nothing, "the trace is not the expected one (- expected, + actual):\n\n  - outer\n");
}

#[test]
fn what_is_no_tree_is_told() {
    assert!(said(|| recorded().expect(". number = 7")).starts_with("line 1: `. number = 7` belongs below a span"));
}

/// OpenTelemetry's SDK keeps both.
#[test]
fn of_what_is_recorded_twice_a_tree_speaks_of_the_last() {
    let recorder = TraceRecorder::new();
    recorder.in_scope(|| span("work").attribute("step", 1).in_scope(|| current_span().record("step", 2)));
    recorder.expect("work\n  . step = 2");
}

/// As a test runner has it: many at once, in threads of one process.
#[test]
fn recorders_see_nothing_of_each_other() {
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            thread::spawn(move || {
                for _ in 0..20 {
                    let (recorder, name) = (TraceRecorder::new(), format!("span {thread}"));
                    recorder.in_scope(|| span(name.clone()).in_scope(|| ()));
                    recorder.expect(&name);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no other thread's span is seen");
    }
}

#[test]
fn a_name_that_ends_like_a_word_about_the_span_is_none() {
    let recorder = TraceRecorder::new();
    recorder.in_scope(|| span("charge ERROR").in_scope(|| ()));
    let expected =
        "the trace is not the expected one (- expected, + actual):\n\n  - charge ERROR\n  + \"charge ERROR\"\n";
    assert_eq!(said(|| recorder.expect("charge ERROR")), expected);
    recorder.expect("\"charge ERROR\"");
}

#[test]
fn a_tree_is_as_expected_whatever_the_names_are() {
    let recorder = TraceRecorder::new();
    for name in ["charge ERROR", ".hidden", "! happened", "~> other", "...", "\"quoted\"", "two\n  lines"] {
        recorder.in_scope(|| span(name).in_scope(|| ()));
    }
    recorder.expect(&recorder.tree());
}
