//! Span attributes: what may be one, and how user code that computes one is kept from doing harm.

use std::borrow::Cow;
use std::fmt::{self, Debug, Display, Write};
use std::sync::Arc;

use super::attribute_value::AttributeValue;
use super::backend::AttributeList;
use super::guard::guarded;
use super::names;

/// The maximum length of a text attribute, in bytes; the rest is cut, and the cut is counted.
pub const MAX_TEXT: usize = 1024;

/// The maximum number of strings in an attribute that is a list; the rest are dropped, and the cut is counted.
pub const MAX_ITEMS: usize = 128;

/// Replaces an attribute, or the text of an error, whose expression panicked.
pub(super) const PANICKED: &str = "<panicked>";

/// The attributes of one span, in the order in which they were recorded.
#[derive(Default)]
pub struct Attributes {
    pub(super) list: AttributeList,
    /// How many were cut or replaced.
    pub(super) cut: u64,
}

impl Attributes {
    /// Records a value; `None` records nothing.
    pub fn record<V: AttributeValue + ?Sized>(&mut self, key: &'static str, value: &V) {
        if V::NEVER_PANICS {
            return value.record(&mut Slot { key, attributes: self });
        }
        self.with(key, &mut |slot| value.record(slot));
    }

    /// Lets a closure record the value, so that a panic in it costs only this attribute.
    #[inline]
    pub fn with(&mut self, key: &'static str, record: &mut dyn FnMut(&mut Slot<'_>)) {
        let before = self.list.len();
        let mut slot = Slot { key, attributes: self };
        if guarded(|| record(&mut slot)).is_none() {
            self.panicked(key, before);
        }
    }

    /// Puts the marker for the attribute, begun at that length, whose expression panicked.
    #[cold]
    fn panicked(&mut self, key: &'static str, before: usize) {
        self.list.truncate(before);
        self.list.text(key, PANICKED);
        self.cut += 1;
    }

    /// Records several values, each at the place of its key. A panic in one costs only that attribute.
    #[doc(hidden)]
    pub fn each(&mut self, keys: &[&'static str], values: &mut dyn Values) {
        let mut place = 0;
        while let Some(rest) = keys.get(place..).filter(|rest| !rest.is_empty()) {
            // Entered once for all of them, and once more after each panic.
            let mut before = self.list.len();
            let finished = guarded(|| {
                for &key in rest {
                    before = self.list.len();
                    values.record(place, &mut Slot { key, attributes: self });
                    place += 1;
                }
            });
            if finished.is_none() {
                self.panicked(keys[place], before);
                place += 1;
            }
        }
    }

    /// Records a value's `Display` output.
    pub fn display(&mut self, key: &'static str, value: &dyn Display) {
        self.with(key, &mut |slot| slot.display(value));
    }

    /// Records a value's `Debug` output.
    pub fn debug(&mut self, key: &'static str, value: &dyn Debug) {
        self.with(key, &mut |slot| slot.debug(value));
    }

    /// How many attributes were recorded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.len() == 0
    }

    /// Of several values with one key, keeps only the last: a span must not have more.
    pub(crate) fn keep_last(&mut self) {
        self.list.keep_last();
    }

    /// A text known at compile time.
    pub(crate) fn text(&mut self, key: &'static str, value: &'static str) {
        self.list.text(key, value);
    }

    /// A text made by the runtime, cut like a user's.
    pub(crate) fn string(&mut self, key: &'static str, value: impl Into<String>) {
        let mut value = value.into();
        if value.len() > MAX_TEXT {
            value.truncate(value.floor_char_boundary(MAX_TEXT));
            self.cut += 1;
        }
        self.list.string(key, value);
    }

    /// The same for a shared text, which is not copied.
    pub(crate) fn shared(&mut self, key: &'static str, value: &Arc<str>) {
        if value.len() > MAX_TEXT {
            return self.string(key, &**value);
        }
        self.list.shared(key, Arc::clone(value));
    }

    /// A count or a place, which never exceeds `i64` in practice.
    pub(crate) fn number(&mut self, key: &'static str, value: u64) {
        self.list.int(key, i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// A measurement.
    pub(crate) fn float(&mut self, key: &'static str, value: f64) {
        self.list.float(key, value);
    }

    /// A flag.
    pub(crate) fn flag(&mut self, key: &'static str, value: bool) {
        self.list.bool(key, value);
    }

    /// Texts, in order, up to [`MAX_ITEMS`].
    pub(crate) fn texts(&mut self, key: &'static str, values: &mut dyn Iterator<Item = Cow<'static, str>>) {
        self.list.texts(key, &mut (&mut *values).take(MAX_ITEMS));
        self.cut += u64::from(values.next().is_some());
    }

    /// The server of a database or a broker, if it has one.
    pub(crate) fn server(&mut self, server: Option<&(Arc<str>, u16)>) {
        if let Some((address, port)) = server {
            self.shared(names::SERVER_ADDRESS, address);
            self.number(names::SERVER_PORT, u64::from(*port));
        }
    }
}

/// Omits the values, which may be long.
impl Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attributes").field("len", &self.list.len()).finish_non_exhaustive()
    }
}

/// The values of attributes whose keys are stored elsewhere, by their places there.
pub trait Values {
    /// Records the value at that place.
    fn record(&mut self, place: usize, slot: &mut Slot<'_>);
}

/// A closure that records them and changes nothing: what a function does must not depend on whether there are spans. No
/// closure trait, whose vtables are larger: each expansion has one.
#[derive(Debug)]
pub struct ByPlace<F: Fn(usize, &mut Slot<'_>)>(pub F);

impl<F: Fn(usize, &mut Slot<'_>)> Values for ByPlace<F> {
    fn record(&mut self, place: usize, slot: &mut Slot<'_>) {
        (self.0)(place, slot);
    }
}

/// No values.
impl Values for () {
    fn record(&mut self, _: usize, _: &mut Slot<'_>) {}
}

/// The place of one attribute; whoever gets it records one value, or none.
#[derive(Debug)]
pub struct Slot<'a> {
    key: &'static str,
    attributes: &'a mut Attributes,
}

impl Slot<'_> {
    /// A value of a type that can be an attribute.
    pub fn record<V: AttributeValue + ?Sized>(&mut self, value: &V) {
        value.record(self);
    }

    /// A text, cut at [`MAX_TEXT`].
    pub fn text(&mut self, value: &str) {
        let kept = value.floor_char_boundary(MAX_TEXT);
        if kept < value.len() {
            self.attributes.cut += 1;
        }
        self.attributes.list.string(self.key, value[..kept].to_owned());
    }

    /// A whole number.
    pub fn int(&mut self, value: i64) {
        self.attributes.list.int(self.key, value);
    }

    /// A number.
    pub fn float(&mut self, value: f64) {
        self.attributes.list.float(self.key, value);
    }

    /// A flag.
    pub fn bool(&mut self, value: bool) {
        self.attributes.list.bool(self.key, value);
    }

    /// Texts, each cut at [`MAX_TEXT`], up to [`MAX_ITEMS`].
    pub(super) fn texts<T: AsRef<str>>(&mut self, values: &[T]) {
        let kept = &values[..values.len().min(MAX_ITEMS)];
        let mut texts = kept.iter().map(|text| {
            let text = text.as_ref();
            Cow::Owned(text[..text.floor_char_boundary(MAX_TEXT)].to_owned())
        });
        self.attributes.list.texts(self.key, &mut texts);
        let any_cut = kept.iter().any(|text| text.as_ref().len() > MAX_TEXT);
        self.attributes.cut += u64::from(kept.len() < values.len() || any_cut);
    }

    /// What `Display` writes, up to [`MAX_TEXT`]: formatting stops there.
    pub fn display(&mut self, value: &dyn Display) {
        self.formatted(format_args!("{value}"));
    }

    /// What `Debug` writes, up to [`MAX_TEXT`]: formatting stops there.
    pub fn debug(&mut self, value: &dyn Debug) {
        self.formatted(format_args!("{value:?}"));
    }

    fn formatted(&mut self, arguments: fmt::Arguments<'_>) {
        let (text, is_cut) = bounded(arguments);
        self.attributes.cut += u64::from(is_cut);
        self.attributes.list.string(self.key, text);
    }
}

/// What is written, up to [`MAX_TEXT`], and whether there was more.
pub(super) fn bounded(arguments: fmt::Arguments<'_>) -> (String, bool) {
    let mut text = Bounded { text: String::new(), full: false };
    // The error is either the bound or the user's own; the text so far is kept in both cases.
    let _ = text.write_fmt(arguments);
    (text.text, text.full)
}

/// A string that refuses to grow beyond [`MAX_TEXT`].
struct Bounded {
    text: String,
    full: bool,
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Whoever does not listen may write on, and a little of it would fit.
        if self.full {
            return Err(fmt::Error);
        }
        let room = MAX_TEXT - self.text.len();
        if text.len() > room {
            self.full = true;
            self.text.push_str(&text[..text.floor_char_boundary(room)]);
            return Err(fmt::Error);
        }
        if self.text.is_empty() {
            // Without spare room: most values are written in one piece, and what is too large is allocated again when
            // it becomes an attribute.
            self.text = String::from(text);
        } else {
            self.text.push_str(text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records something before it panics.
    struct Late;

    impl AttributeValue for Late {
        fn record(&self, slot: &mut Slot<'_>) {
            slot.int(1);
            panic!("as it must");
        }
    }

    #[test]
    fn an_attribute_that_panics_late_leaves_its_marker_alone() {
        let mut attributes = Attributes::default();
        attributes.record("late", &Late);
        attributes.each(&["first", "last"], &mut ByPlace(|_, slot| slot.record(&Late)));
        assert_eq!((attributes.len(), attributes.cut), (3, 3));
    }

    #[test]
    fn texts_of_the_runtimes_own_are_cut_and_counted_as_well() {
        let (fits, long) = ("x".repeat(MAX_TEXT), "x".repeat(MAX_TEXT + 1));
        let cut = |record: &dyn Fn(&mut Attributes)| {
            let mut attributes = Attributes::default();
            record(&mut attributes);
            attributes.cut
        };
        for (text, expected) in [(fits, 0), (long, 1)] {
            assert_eq!(cut(&|attributes| attributes.string("key", text.as_str())), expected);
            assert_eq!(cut(&|attributes| attributes.shared("key", &text.as_str().into())), expected);
        }
        for (count, expected) in [(MAX_ITEMS, 0), (MAX_ITEMS + 1, 1)] {
            let texts = || std::iter::repeat_n(Cow::Borrowed("x"), count);
            assert_eq!(cut(&|attributes| attributes.texts("key", &mut texts())), expected);
        }
    }

    /// It went on with what still had room, as if nothing were left out in between.
    #[test]
    fn a_text_that_was_cut_does_not_go_on() {
        struct Deaf;
        impl Display for Deaf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&"x".repeat(MAX_TEXT - 1))?;
                let _ = f.write_str("\u{fc}");
                f.write_str("y")
            }
        }
        assert_eq!(bounded(format_args!("{Deaf}")), ("x".repeat(MAX_TEXT - 1), true));
    }
}
