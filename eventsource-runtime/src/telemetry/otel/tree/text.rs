//! Text in the terminal: nothing that a span carries may move the cursor, change colors or reorder the line.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::{Array, Value};
use unicode_width::UnicodeWidthChar;

/// The widest value that is shown.
const WIDEST_VALUE: usize = 28;
/// The least that is shown of a link's name, with the arrow before it.
const LEAST_LINK: usize = 8;
const SECONDS_OF_A_DAY: f64 = 86_400.0;

/// Up to `width` columns of a text, with `…` where something was cut, and what could do harm escaped as `\u{..}`.
pub(super) fn shown(text: &str, width: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(width));
    let mut used = 0;
    for character in text.chars() {
        let piece = if is_inert(character) { columns_of(character) } else { character.escape_unicode().len() };
        if used + piece > width {
            while used >= width
                && let Some(last) = shown.pop()
            {
                used -= columns_of(last);
            }
            shown.push('…');
            break;
        }
        if is_inert(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
        used += piece;
    }
    shown
}

/// The same of `~> name (trace 01234567)`, of which the trace's id is kept whole: that is where to look, so the name is
/// cut, or left out where little of it would remain.
pub(super) fn link(text: &str, width: usize) -> String {
    let Some(trace) = text.rfind(" (trace ") else { return shown(text, width) };
    let (name, trace) = text.split_at(trace);
    match width.checked_sub(columns(trace)) {
        Some(room) if room >= LEAST_LINK => shown(name, room) + trace,
        _ => shown(&format!("~>{}", trace.replace(['(', ')'], "")), width),
    }
}

/// How many columns a text takes: characters of East Asia and most pictures take two, accents none.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// Whether a character shows as itself: no control, no mark that reorders or hides what follows, no line separator.
pub(in crate::telemetry::otel) fn is_inert(character: char) -> bool {
    !(character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'))
}

/// A value, cut to what a line can hold.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => shown(&short_id(text.as_str()), WIDEST_VALUE),
        Value::F64(number) => format!("{number:.3}"),
        Value::Array(Array::String(texts)) => {
            let texts: Vec<_> = texts.iter().map(opentelemetry::StringValue::as_str).collect();
            shown(&texts.join(","), WIDEST_VALUE)
        }
        other => shown(&other.to_string(), WIDEST_VALUE),
    }
}

/// A UUID keeps its end: the beginning of a version 7 is the time, which neighbours share.
fn short_id(text: &str) -> Cow<'_, str> {
    let is_uuid = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if is_uuid { Cow::Owned(format!("…{}", &text[28..])) } else { Cow::Borrowed(text) }
}

/// A duration in at most ten columns, up to 2,700 years.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.001 {
        format!("{:.0} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.2} ms", seconds * 1e3)
    } else if seconds < SECONDS_OF_A_DAY {
        format!("{seconds:.2} s")
    } else {
        format!("{:.1} d", seconds / SECONDS_OF_A_DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_shown_inert() {
        for hostile in [
            "\u{1b}[31m",
            "a\nb",
            "\r",
            "\0",
            "\u{9b}m",
            "\u{202e}x",
            "\u{2066}",
            "\u{200b}",
            "\u{feff}",
            "\u{7f}",
            "\t",
        ] {
            let text = shown(hostile, 80);
            assert!(text.chars().all(is_inert), "{text:?}");
            assert!(text.contains("\\u{"), "{text:?}");
        }
        assert_eq!(shown("Größe 東京 🦀", 80), "Größe 東京 🦀");
        assert_eq!(shown("\u{1b}[2J", 80), "\\u{1b}[2J");
    }

    #[test]
    fn a_long_text_is_cut_to_the_width() {
        assert_eq!(shown("abcdef", 6), "abcdef");
        assert_eq!(shown("abcdefg", 6), "abcde…");
        assert_eq!(shown("abcd\u{1b}", 6), "abcd…");
        assert_eq!(shown(&"x".repeat(1 << 20), 10).chars().count(), 10);
        assert_eq!(shown("ab", 0), "…");
        assert_eq!(shown("東京都庁", 6), "東京…");
        assert_eq!(shown("東京都庁", 8), "東京都庁");
        assert_eq!((columns("東京"), columns("e\u{301}"), columns("🦀")), (4, 1, 2));
    }

    #[test]
    fn values_are_short() {
        assert_eq!(value(&Value::from("0193f2a4-7c3e-7d1a-9b2c-0123456789ab")), "…456789ab");
        let texts = vec![opentelemetry::StringValue::from("A"), "B".into()];
        assert_eq!(value(&Value::Array(texts.into())), "A,B");
        assert_eq!(value(&Value::F64(0.012_34)), "0.012");
        assert_eq!(value(&Value::I64(-7)), "-7");
    }

    #[test]
    fn durations_keep_their_magnitude() {
        assert_eq!(duration(Duration::from_micros(12)), "12 µs");
        assert_eq!(duration(Duration::from_micros(3210)), "3.21 ms");
        assert_eq!(duration(Duration::from_millis(1500)), "1.50 s");
        assert_eq!(duration(Duration::from_hours(36)), "1.5 d");
        // A clock that is set while a span runs can make it as long as this.
        let longest =
            [Duration::from_micros(999_999), Duration::from_millis(86_399_999), Duration::from_hours(23_999_997)];
        assert_eq!(longest.map(duration), ["1000.00 ms", "86400.00 s", "999999.9 d"]);
    }
}
