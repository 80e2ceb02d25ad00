//! Which fields a payload must have, found by reading made-up payloads as a store's reader does.
//!
//! Only the type's own `Deserialize` knows: of `default`, `alias`, `flatten` and `Option`, of `from`, of a newtype, of
//! code by hand. It reports the first field that it lacks, and the next one once that has a value which it accepts. So
//! values are tried. What cannot be found out this way is unknown, and never a fault.

#[cfg(test)]
pub(super) mod tests;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::domain::DecodeError;

/// The names of fields.
pub(super) type Fields = BTreeSet<String>;

/// Values for which no part is needed, for as many types as possible.
const VALUES: [&str; 26] = [
    "null",
    "true",
    "false",
    "1",
    "0",
    r#""""#,
    r#""a""#,
    r#""1""#,
    // Identifiers: UUID, ULID, hexadecimal digests.
    r#""00000000-0000-4000-8000-000000000000""#,
    r#""00000000000000000000000000""#,
    r#""0000000000000000000000000000000000000000""#,
    r#""0000000000000000000000000000000000000000000000000000000000000000""#,
    // Times.
    r#""2000-01-01T00:00:00Z""#,
    r#""2000-01-01T00:00:00""#,
    r#""2000-01-01T00:00:00+00:00[UTC]""#,
    r#""2000-01-01""#,
    r#""00:00:00""#,
    r#""PT1S""#,
    // Places and people.
    r#""127.0.0.1""#,
    r#""127.0.0.1:80""#,
    r#""https://example.org/""#,
    r#""a@example.org""#,
    r#""+4915112345678""#,
    // Codes: currency, country, version.
    r#""EUR""#,
    r#""DE""#,
    r#""1.0.0""#,
];
/// Objects and lists within each other; a type may contain itself.
const DEPTH: usize = 8;
/// The items of an array or tuple.
const ITEMS: usize = 64;
/// Values of one field that are tried in turn, beside the variants of an enum.
const ALTERNATIVES: usize = 3;
/// Attempts to read a payload.
const ATTEMPTS: usize = 20_000;

/// Why what is stored with some fields, and perhaps others, cannot be read.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Misfit {
    /// It does not have this one.
    Lacks(String),
    /// It has this one, and `deny_unknown_fields` refuses it.
    Refused(String),
}

/// The fields without which no payload is read, or `None` if that is unknown.
pub(super) fn required(read: &dyn Fn(&str) -> Result<(), DecodeError>) -> Option<Fields> {
    let reader = Reader::new(read);
    let mut payload = Object::default();
    loop {
        match reader.read_all(&payload) {
            Outcome::Read => return Some(payload.fields.into_iter().map(|(name, _)| name).collect()),
            without @ Outcome::Missing { .. } => reader.add_missing(&mut payload, &without)?,
            _ => return None,
        }
    }
}

/// Why what was stored with these fields can surely not be read.
pub(super) fn misfits(read: &dyn Fn(&str) -> Result<(), DecodeError>, stored: &Fields) -> Vec<Misfit> {
    let reader = Reader::new(read);
    let mut payload = Object::default();
    let mut stored = stored.clone();
    let mut misfits = Vec::new();
    loop {
        let outcome = reader.read_all(&payload);
        let missing = match &outcome {
            Outcome::Read => None,
            Outcome::Missing { field, .. } if !payload.has(field) => Some(field),
            _ => return misfits,
        };
        let added = if let Some(field) = missing.and_then(|field| stored.take(field)) {
            reader.add(&mut payload, &field, Some(&outcome))
        } else if let Some(field) = stored.pop_first() {
            // It may be an alias of the one that is missing.
            if reader.refuses(&payload, &field) {
                misfits.push(Misfit::Refused(field));
                continue;
            }
            reader.add(&mut payload, &field, None)
        } else if let Some(field) = missing {
            let added = reader.is_missed(&payload, &outcome).then(|| misfits.push(Misfit::Lacks(field.clone())));
            added.and_then(|()| reader.add_missing(&mut payload, &outcome))
        } else {
            None
        };
        if added.is_none() {
            return misfits;
        }
    }
}

/// What came of reading a payload. Places are bytes from its end, which stay when a value before them changes.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Read,
    /// An object has no such field.
    Missing {
        field: String,
        to_end: usize,
    },
    /// A list has not as many items.
    Length {
        to_end: usize,
    },
    /// A text is none of these.
    Variants(Vec<String>),
    /// An object has a field that it must not have.
    Unknown {
        to_end: usize,
    },
    /// A value is of another type.
    Type {
        to_end: usize,
    },
    /// The type's own rules.
    Refused,
}

impl Outcome {
    fn of(error: &DecodeError, length: usize) -> Self {
        let Some((fault, column)) = error.unfit() else { return Self::Refused };
        // What serde buffers has no place, or that of what is around it.
        let to_end = if column == 0 { 0 } else { length.saturating_sub(column) };
        let quoted = || fault.split('`').skip(1).step_by(2).map(str::to_owned);
        let is = |kind| fault.starts_with(kind);
        match quoted().next() {
            Some(field) if is("missing field") => Self::Missing { field, to_end },
            _ if is("unknown variant") => Self::Variants(quoted().collect()),
            _ if is("unknown field") => Self::Unknown { to_end },
            _ if is("invalid length") => Self::Length { to_end },
            _ if is("invalid type") => Self::Type { to_end },
            _ => Self::Refused,
        }
    }
}

/// An object within a payload, of which it is the last part.
#[derive(Default)]
struct Object {
    before: String,
    after: String,
    /// Each with the values that fit; the first one is used.
    fields: Vec<(String, Vec<String>)>,
}

impl Object {
    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, _)| other == name)
    }

    fn text(&self) -> String {
        format!("{}{}{}", self.before, self.value(None), self.after)
    }

    /// The object, with another value for one of the fields.
    fn value(&self, other: Option<(usize, &str)>) -> String {
        let field = |(at, (name, values)): (usize, &(String, Vec<String>))| {
            let value = other.filter(|(index, _)| *index == at).map_or(&*values[0], |(_, value)| value);
            format!("{}:{value}", quote(name))
        };
        let fields: Vec<_> = self.fields.iter().enumerate().map(field).collect();
        format!("{{{}}}", fields.join(","))
    }

    /// The texts with another value for one of the fields.
    fn alternatives(&self) -> impl Iterator<Item = String> {
        let others = self.fields.iter().enumerate();
        let others = others.flat_map(|(at, (_, values))| values.iter().skip(1).map(move |value| (at, &**value)));
        others.map(|other| format!("{}{}{}", self.before, self.value(Some(other)), self.after))
    }

    /// The place of another field's value.
    fn slot<'a>(&self, name: &str, without: Option<&'a Outcome>, depth: usize) -> Slot<'a> {
        let (value, comma) = (self.value(None), if self.fields.is_empty() { "" } else { "," });
        let before = format!("{}{}{comma}{}:", self.before, &value[..value.len() - 1], quote(name));
        Slot { before, after: format!("}}{}", self.after), without, depth }
    }
}

/// A place for a value, with the payload around it.
struct Slot<'a> {
    before: String,
    after: String,
    /// What came of the payload without it.
    without: Option<&'a Outcome>,
    depth: usize,
}

impl<'a> Slot<'a> {
    fn with(&self, value: &str) -> String {
        format!("{}{value}{}", self.before, self.after)
    }

    /// Whether a value is accepted: nothing is amiss but what is missing around it.
    fn fits(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Read => true,
            Outcome::Missing { to_end, .. } | Outcome::Length { to_end } => {
                *to_end < self.after.len() && self.without != Some(outcome)
            }
            _ => false,
        }
    }

    fn within(&self, before: &str, after: &str) -> Slot<'a> {
        let (before, after) = (format!("{}{before}", self.before), format!("{after}{}", self.after));
        Slot { before, after, without: self.without, depth: self.depth - 1 }
    }
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct Reader<'a> {
    read: &'a dyn Fn(&str) -> Result<(), DecodeError>,
    attempts: Cell<usize>,
}

impl<'a> Reader<'a> {
    fn new(read: &'a dyn Fn(&str) -> Result<(), DecodeError>) -> Self {
        Self { read, attempts: Cell::new(ATTEMPTS) }
    }

    fn read(&self, payload: &str) -> Outcome {
        let Some(left) = self.attempts.get().checked_sub(1) else { return Outcome::Refused };
        self.attempts.set(left);
        // A made-up value may be one for which the type's own code is not prepared.
        match catch_unwind(AssertUnwindSafe(|| (self.read)(payload))) {
            Ok(Ok(())) => Outcome::Read,
            Ok(Err(error)) => Outcome::of(&error, payload.len()),
            Err(_) => Outcome::Refused,
        }
    }

    /// What comes of a payload, whatever the values of its fields are: that of an enum's tag decides which other fields
    /// are required.
    fn read_all(&self, payload: &Object) -> Outcome {
        let is_known = |outcome: &Outcome| matches!(outcome, Outcome::Read | Outcome::Missing { to_end: 0, .. });
        let outcome = self.read(&payload.text());
        let others = payload.alternatives().map(|payload| self.read(&payload));
        let is_same = others.filter(is_known).all(|other| other == outcome);
        if is_same && is_known(&outcome) { outcome } else { Outcome::Refused }
    }

    /// Gives a payload the field that it lacks.
    fn add_missing(&self, payload: &mut Object, without: &Outcome) -> Option<()> {
        match without {
            Outcome::Missing { field, .. } if !payload.has(field) => self.add(payload, field, Some(without)),
            _ => None,
        }
    }

    /// Gives a payload another field, unless no value fits.
    fn add(&self, payload: &mut Object, name: &str, without: Option<&Outcome>) -> Option<()> {
        let slot = payload.slot(name, without, DEPTH);
        let mut values: Vec<_> = self.scalars(&slot).collect();
        if values.is_empty() {
            values.push(self.composed(&slot)?);
        }
        payload.fields.push((name.to_owned(), values));
        Some(())
    }

    /// Whether the payload cannot be read because it has this field.
    fn refuses(&self, payload: &Object, name: &str) -> bool {
        let payload = payload.slot(name, None, DEPTH).with("null");
        matches!(self.read(&payload), Outcome::Unknown { to_end } if to_end > 0)
    }

    /// Whether the payload cannot be read because it itself, and no object within it, lacks the field. Then it is read
    /// with it, or at least the value is: of what serde buffers, the place of an error is that of the whole.
    fn is_missed(&self, payload: &Object, without: &Outcome) -> bool {
        let Outcome::Missing { field, .. } = without else { return false };
        let slot = payload.slot(field, Some(without), DEPTH);
        let outcome = self.read(&slot.with("null"));
        slot.fits(&outcome) || matches!(outcome, Outcome::Type { to_end } if to_end > 0) || self.value(&slot).is_some()
    }

    fn value(&self, slot: &Slot<'_>) -> Option<String> {
        let scalar = self.scalars(slot).next();
        scalar.or_else(|| self.composed(slot))
    }

    /// Values without parts that fit.
    fn scalars(&self, slot: &Slot<'_>) -> impl Iterator<Item = String> {
        let is_fit = |value: &String| slot.fits(&self.read(&slot.with(value)));
        let variants = self.variants(slot).into_iter().map(|variant| quote(&variant)).filter(is_fit);
        variants.chain(VALUES.into_iter().map(str::to_owned).filter(is_fit).take(ALTERNATIVES))
    }

    fn variants(&self, slot: &Slot<'_>) -> Vec<String> {
        match self.read(&slot.with(r#""""#)) {
            Outcome::Variants(variants) => variants,
            _ => Vec::new(),
        }
    }

    fn composed(&self, slot: &Slot<'_>) -> Option<String> {
        if slot.depth == 0 {
            return None;
        }
        self.object(slot).or_else(|| self.list(slot)).or_else(|| self.variant(slot))
    }

    /// A list, of as many items as the type wants; of one if it refuses an empty one.
    fn list(&self, slot: &Slot<'_>) -> Option<String> {
        let mut items = String::new();
        for count in 0..ITEMS {
            match self.read(&slot.with(&format!("[{items}]"))) {
                Outcome::Length { to_end } if to_end == slot.after.len() => {}
                Outcome::Refused if count == 0 => {}
                outcome => return slot.fits(&outcome).then(|| format!("[{items}]")),
            }
            let before = if items.is_empty() { String::new() } else { format!("{items},") };
            let item = self.value(&slot.within(&format!("[{before}"), "]"))?;
            items = before + &item;
        }
        None
    }

    /// An object with the fields that the type wants.
    fn object(&self, slot: &Slot<'_>) -> Option<String> {
        let mut object = Object { before: slot.before.clone(), after: slot.after.clone(), fields: Vec::new() };
        loop {
            let outcome = self.read(&object.text());
            if let Outcome::Missing { field, .. } = &outcome {
                let field_slot = object.slot(field, Some(&outcome), slot.depth - 1);
                // If it is missing in an object around this one, nothing changes with it.
                let is_here = !object.has(field) && self.read(&field_slot.with("null")) != outcome;
                if let Some(value) = is_here.then(|| self.value(&field_slot)).flatten() {
                    object.fields.push((field.clone(), vec![value]));
                    continue;
                }
            }
            return slot.fits(&outcome).then(|| object.value(None));
        }
    }

    /// A variant that has a value.
    fn variant(&self, slot: &Slot<'_>) -> Option<String> {
        self.variants(slot).into_iter().find_map(|variant| {
            let before = format!("{{{}:", quote(&variant));
            self.value(&slot.within(&before, "}")).map(|value| format!("{before}{value}}}"))
        })
    }
}
