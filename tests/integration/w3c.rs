//! The vectors of the W3C's own test suite for trace context, at its strictest level, against the contexts that are
//! stored with events and those in the headers of messages. What that suite says of the case of names is about HTTP:
//! names of messages' headers are lower case.

use std::collections::BTreeMap;

use eventsource_runtime::bus::Message;
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{Filter, SqliteStore};
use eventsource_runtime::telemetry::InvalidTraceContext;
use eventsource_tests::dice::Dice;
use eventsource_tests::scratch::Scratch;
use rusqlite::Connection;

const TRACE: u128 = 0x1234_5678_9012_3456_7890_1234_5678_9012;
const SPAN: u64 = 0x1234_5678_9012_3456;
const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-00";

/// Values of `traceparent`, and whether they continue a trace.
const PARENTS: [(&str, bool); 35] = [
    ("00-12345678901234567890123456789012-1234567890123456-01", true),
    (PARENT, true),
    // Version 0 ends with its flags.
    ("00-12345678901234567890123456789012-1234567890123456-01.", false),
    ("00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like", false),
    // A later one may go on.
    ("cc-12345678901234567890123456789012-1234567890123456-01", true),
    ("cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like", true),
    ("cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like", false),
    ("ff-12345678901234567890123456789012-1234567890123456-01", false),
    (".0-12345678901234567890123456789012-1234567890123456-01", false),
    ("0.-12345678901234567890123456789012-1234567890123456-01", false),
    ("000-12345678901234567890123456789012-1234567890123456-01", false),
    ("0000-12345678901234567890123456789012-1234567890123456-01", false),
    ("0-12345678901234567890123456789012-1234567890123456-01", false),
    ("00-00000000000000000000000000000000-1234567890123456-01", false),
    ("00-.2345678901234567890123456789012-1234567890123456-01", false),
    ("00-1234567890123456789012345678901.-1234567890123456-01", false),
    ("00-123456789012345678901234567890123-1234567890123456-01", false),
    ("00-1234567890123456789012345678901-1234567890123456-01", false),
    ("00-12345678901234567890123456789012-0000000000000000-01", false),
    ("00-12345678901234567890123456789012-.234567890123456-01", false),
    ("00-12345678901234567890123456789012-123456789012345.-01", false),
    ("00-12345678901234567890123456789012-12345678901234567-01", false),
    ("00-12345678901234567890123456789012-123456789012345-01", false),
    ("00-12345678901234567890123456789012-1234567890123456-.0", false),
    ("00-12345678901234567890123456789012-1234567890123456-0.", false),
    ("00-12345678901234567890123456789012-1234567890123456-001", false),
    ("00-12345678901234567890123456789012-1234567890123456-1", false),
    (" 00-12345678901234567890123456789012-1234567890123456-01", true),
    ("\t00-12345678901234567890123456789012-1234567890123456-01", true),
    ("00-12345678901234567890123456789012-1234567890123456-01 ", true),
    ("00-12345678901234567890123456789012-1234567890123456-01\t", true),
    ("\t 00-12345678901234567890123456789012-1234567890123456-01 \t", true),
    // Not in that suite: upper case, a sign, and no text at all.
    ("00-ABCDEF78901234567890123456789012-1234567890123456-01", false),
    ("00-+2345678901234567890123456789012-1234567890123456-01", false),
    ("", false),
];

/// Values of `tracestate`, a header each, and what is passed on of them.
fn states() -> Vec<(Vec<String>, Option<String>)> {
    let some = |all: &[&str], kept: &str| (all.iter().map(|&one| one.to_owned()).collect(), Some(kept.to_owned()));
    let none = |all: &[&str]| (all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>(), None);
    let mut vectors = vec![
        some(&["foo=1"], "foo=1"),
        some(&["foo=1,bar=2"], "foo=1,bar=2"),
        none(&[""]),
        some(&["foo=1", ""], "foo=1"),
        some(&["", "foo=1"], "foo=1"),
        some(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], "foo=1,bar=2,rojo=1,congo=2,baz=3"),
        none(&["foo=1,foo=1"]),
        none(&["foo=1,foo=2"]),
        none(&["foo=1", "foo=1"]),
        none(&["foo=1", "foo=2"]),
        some(&["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"),
        some(&["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], "foo=1,bar=2,baz=3"),
        none(&["foo =1"]),
        none(&["FOO=1"]),
        none(&["foo.bar=1"]),
        none(&["foo@=1,bar=2"]),
        none(&["@foo=1,bar=2"]),
        none(&["foo@@bar=1,bar=2"]),
        none(&["foo@bar@baz=1,bar=2"]),
        none(&["foo=bar=baz"]),
        none(&["foo=,bar=3"]),
    ];
    vectors.extend([" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"].map(|state| some(&[state], "foo=1")));
    vectors.extend(all_characters().map(|state| some(&[&state], &state)));
    for (key, is_valid) in [
        ("z".repeat(256), true),
        ("z".repeat(257), false),
        (format!("{}@{}", "t".repeat(241), "v".repeat(14)), true),
        (format!("{}@v", "t".repeat(242)), false),
        (format!("t@{}", "v".repeat(15)), false),
    ] {
        let all = ["foo=1", &format!("{key}=1")];
        vectors.push(if is_valid { some(&all, &all.join(",")) } else { none(&all) });
    }
    let value = |length: usize| "v".repeat(length);
    for (state, is_valid) in [
        (format!("foo={}", value(256)), true),
        (format!("foo={}", value(257)), false),
        (format!("a={},b={}", value(254), value(253)), true),
        (format!("a={},b={}", value(254), value(254)), false),
    ] {
        vectors.push(if is_valid { some(&[&state], &state) } else { none(&[&state]) });
    }
    let tens = |from: u32, to: u32| (from..=to).map(|n| format!("bar{n:02}={n:02}")).collect::<Vec<_>>().join(",");
    let most = [tens(1, 10), tens(11, 20), tens(21, 30), tens(31, 32)];
    vectors.push((most.to_vec(), Some(most.join(","))));
    vectors.push(([&most[..3], &[tens(31, 33)]].concat(), None));
    vectors
}

/// Every character that a key, with and without a system, and a value may have.
fn all_characters() -> [String; 2] {
    let text = |from: char, to: char| (from..=to).collect::<String>();
    let key = text('a', 'z') + "0123456789_-*/";
    let value = text(' ', '+') + &text('-', '<') + &text('>', '~');
    [format!("{key}={value}"), format!("{key}@a-z0-9_-*/={value}")]
}

fn read(headers: &[(&str, &str)]) -> Message {
    Message::read(headers.iter().map(|(name, value)| (*name, value.as_bytes())), b"{}".as_slice().into())
}

/// The headers of a message, as it is sent on.
fn sent(message: &Message) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    message.write_headers(&mut |name, value| {
        all.insert(name.to_owned(), String::from_utf8(value.to_vec()).unwrap());
    });
    all
}

#[test]
fn a_parent_in_a_message_or_by_itself_continues_a_trace_or_does_not() {
    for (parent, continues) in PARENTS {
        let message = read(&[("traceparent", parent)]);
        assert_eq!(message.has_malformed_context(), !continues, "{parent:?}");
        let parsed = parent.parse::<TraceContext>();
        assert_eq!(parsed.clone().ok().as_ref(), message.trace_context(), "{parent:?}");
        match parsed {
            Ok(context) => {
                assert!(continues, "{parent:?}");
                assert_eq!((context.trace_id(), context.span_id()), (TRACE, SPAN), "{parent:?}");
                // Whatever came, version 0 is what we know and write, with its two flags.
                assert_eq!(sent(&message)["traceparent"], format!("{}{:02x}", &PARENT[..53], context.flags() & 3));
            }
            Err(InvalidTraceContext) => assert!(!continues, "{parent:?}"),
        }
    }
}

#[test]
fn two_parents_or_one_of_another_name_start_a_new_trace() {
    let other = "00-12345678901234567890123456789011-1234567890123456-01";
    assert_eq!(read(&[("traceparent", other), ("traceparent", PARENT)]).trace_context(), None);
    for name in ["trace-parent", "trace.parent"] {
        assert_eq!(read(&[(name, PARENT)]).trace_context(), None);
    }
}

#[test]
fn a_state_in_a_message_is_passed_on_whole_or_not_at_all() {
    for (all, kept) in states() {
        let states = all.iter().map(|state| ("tracestate", &**state));
        let message = read(&[("traceparent", PARENT)].into_iter().chain(states.clone()).collect::<Vec<_>>());
        let context = message.trace_context().expect("whatever the state, the parent is one");
        assert_eq!((context.trace_id(), context.tracestate()), (TRACE, kept.as_deref()), "{all:?}");
        assert_eq!(sent(&message).get("tracestate"), kept.as_ref(), "{all:?}");
        assert_eq!(read(&states.collect::<Vec<_>>()).trace_context(), None, "a state without a parent");
    }
    for name in ["trace-state", "trace.state"] {
        let message = read(&[("traceparent", PARENT), (name, "foo=1")]);
        assert_eq!(message.trace_context().unwrap().tracestate(), None);
    }
}

/// What a `traceparent` says by the standard's grammar, read as plainly as can be.
fn strictly(text: &str) -> Option<(u128, u64, u8)> {
    let parts: Vec<_> = text.trim_matches([' ', '\t']).split('-').collect();
    let [version, trace, span, flags, rest @ ..] = &parts[..] else { return None };
    for (part, length) in [(version, 2), (trace, 32), (span, 16), (flags, 2)] {
        if part.len() != length || !part.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f')) {
            return None;
        }
    }
    if *version == "ff" || *version == "00" && !rest.is_empty() {
        return None;
    }
    let ids = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(span, 16).ok()?);
    (ids.0 != 0 && ids.1 != 0).then_some((ids.0, ids.1, u8::from_str_radix(flags, 16).ok()?))
}

/// A header that is right but for a few characters, which may be any.
fn changed(header: &str, dice: &mut Dice) -> String {
    const TELLING: [char; 16] = ['0', 'a', 'f', 'g', 'F', '-', '+', '_', ' ', '\t', '.', ',', '=', '@', '\0', 'é'];
    let mut characters: Vec<_> = header.chars().collect();
    for _ in 0..dice.below(4) {
        let at = usize::try_from(dice.below(characters.len() as u64 + 1)).unwrap();
        let other = TELLING[usize::try_from(dice.below(16)).unwrap()];
        match dice.below(4) {
            0 => characters.insert(at, other),
            1 => drop(characters.splice(at..characters.len().min(at + 1), [])),
            2 => drop(characters.splice(at..characters.len().min(at + 1), [other])),
            _ => characters.truncate(at),
        }
    }
    characters.into_iter().collect()
}

#[test]
fn whatever_comes_is_read_as_the_grammar_says() {
    let (mut dice, mut continued) = (Dice(Dice::seed()), 0);
    for nth in 0..200_000 {
        let parent = changed(PARENTS[nth % PARENTS.len()].0, &mut dice);
        let read = parent.parse::<TraceContext>().ok();
        let said = read.as_ref().map(|context| (context.trace_id(), context.span_id(), context.flags()));
        assert_eq!(said, strictly(&parent), "{parent:?}");
        continued += usize::from(read.is_some());
    }
    assert!((10_000..190_000).contains(&continued), "both are tried: {continued}");
}

#[test]
fn whatever_state_comes_what_is_kept_of_it_is_kept_again() {
    let (mut dice, context) = (Dice(Dice::seed()), PARENT.parse::<TraceContext>().unwrap());
    let states: Vec<_> = states().into_iter().map(|(all, _)| all.join(",")).collect();
    let mut kept = 0;
    for nth in 0..50_000 {
        let state = changed(&states[nth % states.len()], &mut dice);
        let Some(first) = context.clone().with_state(&state).tracestate().map(str::to_owned) else { continue };
        let members =
            state.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty());
        assert_eq!(first, members.collect::<Vec<_>>().join(","), "whole, or not at all");
        assert_eq!(context.clone().with_state(&first).tracestate(), Some(&*first), "{state:?}");
        kept += 1;
    }
    assert!((5_000..45_000).contains(&kept), "both are tried: {kept}");
}

/// Events whose contexts somebody else wrote, and what the store reads of them.
async fn stored(contexts: &[(&str, Option<&str>)]) -> Vec<Option<TraceContext>> {
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.file()).await.unwrap();
    let connection = Connection::open(scratch.file()).unwrap();
    for (nth, (parent, state)) in contexts.iter().enumerate() {
        let insert = "INSERT INTO events (stream_id, version, event_id, event_type, schema_version, recorded_at, \
            traceparent, tracestate, payload) VALUES ('Elsewhere-1', ?1, randomblob(16), 'Foreign', 1, 0, ?2, ?3, x'7b7d')";
        connection.execute(insert, (nth + 1, parent, state)).unwrap();
    }
    drop(connection);
    let page = store.read_all(Position::START, &Filter::all(), contexts.len() + 1).await.unwrap();
    let read = page.events.iter().map(|event| event.trace_context.clone()).collect();
    store.close().await;
    read
}

#[tokio::test]
async fn a_stored_context_is_read_by_the_same_rules() {
    let parents = stored(&PARENTS.map(|(parent, _)| (parent, None))).await;
    assert_eq!(parents.len(), PARENTS.len());
    for ((parent, continues), context) in PARENTS.iter().zip(parents) {
        assert_eq!(context.map(|context| context.trace_id()), continues.then_some(TRACE), "{parent:?}");
    }
    let vectors: Vec<_> = states().into_iter().map(|(all, kept)| (all.join(","), kept)).collect();
    let contexts: Vec<_> = vectors.iter().map(|(state, _)| (PARENT, Some(&**state))).collect();
    for ((state, kept), context) in vectors.iter().zip(stored(&contexts).await) {
        let context = context.expect("whatever the state, the parent is one");
        assert_eq!(context.tracestate(), kept.as_deref(), "{state:?}");
    }
}
