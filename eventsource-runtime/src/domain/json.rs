//! Writing stored values as JSON that can be read back.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::value::RawValue;

use crate::error::BoxError;

/// The nesting up to which written JSON is not read back to check it. The reader gives up at 128.
const SHALLOW: usize = 100;

/// Why a value is refused.
#[derive(Debug)]
pub(crate) struct Unwritable {
    /// The message, after the value's name.
    pub(crate) problem: &'static str,
    pub(crate) source: BoxError,
}

impl Unwritable {
    fn new(problem: &'static str, source: impl Into<BoxError>) -> Self {
        Self { problem, source: source.into() }
    }

    /// It cannot be written.
    #[cold]
    pub(crate) fn unwritten(error: serde_json::Error) -> Self {
        Self::new("cannot be written as JSON; mend its `Serialize`", error)
    }

    /// It was written, and cannot be read.
    #[cold]
    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        let problem = match error.classify() {
            Category::Data => {
                "cannot be read back from JSON: a float that is NaN or infinite is written as `null` (use an `Option`), \
                 and a `u128`, an `i128` or the key of a map that is no text is not read inside a tagged, untagged or \
                 flattened type (store it as text); a field that `skip_serializing_if` leaves out needs a `default`"
            }
            _ => "cannot be read back from JSON: it is nested more than 127 deep; make it flatter",
        };
        // serde's text may quote values, so only the place is given.
        Self::new(problem, format!("at column {} of it", error.column()))
    }
}

/// Appends a value as JSON that its type can read back.
///
/// JSON that can be written but not read contains a `null`, a `u128` or `i128`, or a key that was not text, or is
/// deeply nested: such a value is read back to check it. A `None` is also a `null`, and serde does not tell which of
/// the two was written, so such a value costs about twice as much. The effect of a type's own attributes cannot be seen
/// here: builds with debug assertions read everything back.
pub(crate) fn write<T: Serialize + DeserializeOwned>(value: &T, json: &mut Vec<u8>) -> Result<(), Unwritable> {
    let mut seen = Seen::default();
    let mut serializer = serde_json::Serializer::with_formatter(&mut *json, Watching(&mut seen));
    value.serialize(&mut serializer).map_err(Unwritable::unwritten)?;
    if cfg!(debug_assertions) || seen.doubtful || seen.deepest > SHALLOW {
        serde_json::from_slice::<T>(json).map_err(|error| Unwritable::unreadable(&error))?;
    }
    Ok(())
}

/// A value as JSON that its type can read back.
pub(crate) fn raw<T: Serialize + DeserializeOwned>(value: &T) -> Result<Box<RawValue>, Unwritable> {
    let mut json = Vec::new();
    write(value, &mut json)?;
    let raw = serde_json::from_slice(&json);
    raw.map_err(|error| Unwritable::unreadable(&error))
}

/// A value as the tree that its JSON is read as: made directly, one of an `f32` has digits that nobody wrote.
///
/// What a reader takes for something else is made directly all the same: an integer beyond 64 bits, which would become a
/// float, and is refused, and what is nested too deep.
pub(crate) fn tree<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<Value> {
    let (mut seen, mut json) = (Seen::default(), Vec::new());
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut json, Watching(&mut seen)))?;
    let read = (!seen.is_wide).then(|| serde_json::from_slice(&json).ok()).flatten();
    read.map_or_else(|| serde_json::to_value(value), Ok)
}

/// What is wrong with JSON that was to be read, in the words of the type: serde's may quote what stands there.
pub(crate) fn fault(error: &serde_json::Error) -> String {
    const KINDS: [&str; 6] =
        ["invalid type", "invalid value", "invalid length", "unknown variant", "unknown field", "duplicate field"];
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(&*text, |(text, _)| text);
    if error.classify() != Category::Data {
        return text.to_owned();
    }
    if text.starts_with("missing field `") {
        return text.split_inclusive('`').take(2).collect();
    }
    let Some(kind) = KINDS.into_iter().find(|kind| text.starts_with(kind)) else {
        return "a value that the type refuses".to_owned();
    };
    // What is expected is told last, and by the type, except where there is nothing to expect, or by errors that do not
    // come from serde.
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected);
    match expected
        .filter(|expected| !["there are no ", " got ", " found "].iter().any(|other| expected.contains(other)))
    {
        Some(expected) => format!("{kind}, expected {expected}"),
        None => kind.to_owned(),
    }
}

/// What was written that may not be readable.
#[derive(Default)]
struct Seen {
    doubtful: bool,
    /// Whether there is an integer beyond 64 bits.
    is_wide: bool,
    /// Whether the current key has any text.
    is_text: bool,
    depth: usize,
    deepest: usize,
}

impl Seen {
    fn deeper(&mut self) {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
    }
}

/// Writes as compactly as the default, and records what it sees.
struct Watching<'a>(&'a mut Seen);

impl Formatter for Watching<'_> {
    fn write_null<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.doubtful = true;
        CompactFormatter.write_null(writer)
    }

    /// Types that serde buffers, such as tagged ones, cannot read these integers.
    fn write_i128<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: i128) -> io::Result<()> {
        self.0.doubtful = true;
        self.0.is_wide |= i64::try_from(value).is_err() && u64::try_from(value).is_err();
        CompactFormatter.write_i128(writer, value)
    }

    fn write_u128<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: u128) -> io::Result<()> {
        self.0.doubtful = true;
        self.0.is_wide |= u64::try_from(value).is_err();
        CompactFormatter.write_u128(writer, value)
    }

    /// A key may be a number or a `bool`, which types that serde buffers do not read as one.
    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.is_text = false;
        CompactFormatter.begin_object_key(writer, first)
    }

    fn end_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.doubtful |= !self.0.is_text;
        CompactFormatter.end_object_key(writer)
    }

    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        self.0.is_text = true;
        CompactFormatter.write_string_fragment(writer, fragment)
    }

    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.deeper();
        CompactFormatter.begin_array(writer)
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.depth -= 1;
        CompactFormatter.end_array(writer)
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.deeper();
        CompactFormatter.begin_object(writer)
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.depth -= 1;
        CompactFormatter.end_object(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Measured {
        value: f64,
        note: Option<f64>,
        tree: Vec<Value>,
        unit: (),
    }

    fn nested(deep: usize) -> Value {
        (0..deep).fold(Value::Bool(true), |inner, _| Value::Array(vec![inner]))
    }

    fn written(value: &Measured) -> Result<Measured, String> {
        let mut json = Vec::new();
        write(value, &mut json).map_err(|error| format!("{}: {}", error.problem, error.source))?;
        assert_eq!(json, serde_json::to_vec(value).unwrap());
        Ok(serde_json::from_slice(&json).unwrap())
    }

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Minted {
        Coins { amount: u128, change: i128 },
    }

    #[test]
    fn integers_that_are_not_read_are_refused() {
        for (amount, change) in [(1, 1), (u128::from(u64::MAX) + 1, 0), (0, i128::from(i64::MIN) - 1)] {
            let minted = Minted::Coins { amount, change };
            let mut json = Vec::new();
            let is_refused = write(&minted, &mut json).is_err();
            assert_eq!(is_refused, serde_json::from_slice::<Minted>(&json).is_err(), "{amount} {change}");
            assert!(is_refused, "{amount} {change}");
            let mut seen = Seen::default();
            minted.serialize(&mut serde_json::Serializer::with_formatter(io::sink(), Watching(&mut seen))).unwrap();
            assert!(seen.doubtful, "whether or not everything is read back");
        }
        assert!(write(&u128::MAX, &mut Vec::new()).is_ok());
    }

    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Counted {
        Lines { of: BTreeMap<u32, u8> },
        Flags { of: BTreeMap<bool, u8> },
        Names { of: BTreeMap<String, u8> },
    }

    #[test]
    fn keys_that_are_not_read_are_refused() {
        let doubtful = |counted: Counted| {
            let (mut seen, mut json) = (Seen::default(), Vec::new());
            counted.serialize(&mut serde_json::Serializer::with_formatter(&mut json, Watching(&mut seen))).unwrap();
            assert_eq!(write(&counted, &mut Vec::new()).is_err(), serde_json::from_slice::<Counted>(&json).is_err());
            seen.doubtful
        };
        assert!(
            doubtful(Counted::Lines { of: [(1, 2)].into() }) && doubtful(Counted::Flags { of: [(true, 2)].into() })
        );
        assert!(!doubtful(Counted::Lines { of: BTreeMap::new() }));
        assert!(!doubtful(Counted::Names { of: [("a\"b".to_owned(), 2), ("c".to_owned(), 2)].into() }));
        assert!(write(&BTreeMap::from([(1, 2)]), &mut Vec::new()).is_ok());
    }

    #[test]
    fn a_tree_has_the_digits_that_were_written_and_rounds_no_integer() {
        assert_eq!(tree(&0.1_f32).unwrap().to_string(), "0.1");
        assert_eq!(tree(&[u64::MAX.into(), 1_u128]).unwrap(), serde_json::json!([u64::MAX, 1]));
        assert_eq!(tree(&[i64::MIN.into(), -1_i128]).unwrap(), serde_json::json!([i64::MIN, -1]));
        assert!(tree(&(1_u128 << 70)).is_err() && tree(&(-1_i128 << 70)).is_err());
        assert_eq!(tree(&BTreeMap::from([(1_u128 << 70, 1)])).unwrap()["1180591620717411303424"], 1);
        assert_eq!(tree(&nested(200)).unwrap(), nested(200));
    }

    /// Commands that are put off are dispatched from it.
    #[test]
    fn what_is_kept_raw_is_kept_as_it_was_written() {
        #[derive(Serialize, Deserialize)]
        struct Wide {
            second: u128,
            first: f64,
        }
        let wide = raw(&Wide { second: u128::MAX, first: -0.0 }).unwrap();
        assert_eq!(wide.get(), r#"{"second":340282366920938463463374607431768211455,"first":-0.0}"#);
    }

    #[cfg(debug_assertions)]
    #[test]
    fn a_field_that_is_left_out_and_not_read_is_noticed_in_development() {
        #[derive(Serialize, Deserialize)]
        struct Tagged {
            #[serde(skip_serializing_if = "Vec::is_empty")]
            tags: Vec<u8>,
        }
        assert!(write(&Tagged { tags: vec![1] }, &mut Vec::new()).is_ok());
        let error = write(&Tagged { tags: vec![] }, &mut Vec::new()).unwrap_err();
        assert!(error.problem.contains("needs a `default`"), "{error:?}");
    }

    #[test]
    fn what_is_written_is_read_or_refused() {
        assert!(written(&Measured::default()).is_ok());
        assert!(written(&Measured { note: Some(f64::NAN), ..Measured::default() }).is_ok());
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = written(&Measured { value, ..Measured::default() }).unwrap_err();
            assert!(error.contains("NaN") && error.contains("at column 13"), "{error}");
        }
        for deep in 90..135 {
            let tree = vec![nested(deep)];
            // The struct and its list are two more.
            let error = written(&Measured { tree, ..Measured::default() }).err();
            assert_eq!(error.as_ref().map(|error| error.contains("127 deep")), (deep > 125).then_some(true), "{deep}");
        }
    }

    #[test]
    fn what_is_read_back_is_not_quoted() {
        /// Reads other variants than it writes.
        #[derive(Serialize, Deserialize)]
        enum Odd {
            #[serde(rename(deserialize = "other"))]
            Secret(Option<u8>),
        }
        let error = write(&Odd::Secret(None), &mut Vec::new()).unwrap_err();
        assert!(!format!("{error:?}").contains("Secret"), "{error:?}");
    }
}
