//! What can be an attribute's value.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use uuid::Uuid;

use super::attributes::Slot;

/// What can be an attribute's value: numbers, texts, flags, UUIDs, lists of texts, and an `Option` or a reference of
/// these. Anything else is recorded with `%` (its `Display`) or `?` (its `Debug`). You can implement it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of an attribute",
    note = "write `%` before the expression to record what `Display` shows, or `?` for `Debug`"
)]
pub trait AttributeValue {
    /// Whether `record` is known not to panic, so that it needs no guard.
    #[doc(hidden)]
    const NEVER_PANICS: bool = false;

    /// Records the value, or nothing.
    fn record(&self, slot: &mut Slot<'_>);
}

macro_rules! values {
    ($($kind:ident: $($type:ty),*;)*) => {
        $($(impl AttributeValue for $type {
            const NEVER_PANICS: bool = true;

            #[inline]
            fn record(&self, slot: &mut Slot<'_>) {
                slot.$kind((*self).into());
            }
        })*)*
    };
}
values! {
    int: i8, i16, i32, i64, u8, u16, u32;
    float: f32, f64;
    bool: bool;
}

macro_rules! wide {
    ($($type:ty),*) => {
        $(impl AttributeValue for $type {
            const NEVER_PANICS: bool = true;

            /// As a number if it fits into 64 bits with a sign, otherwise as text.
            fn record(&self, slot: &mut Slot<'_>) {
                match i64::try_from(*self) {
                    Ok(value) => slot.int(value),
                    Err(_) => slot.display(self),
                }
            }
        })*
    };
}
wide!(u64, usize, isize, u128, i128);

macro_rules! displayed {
    ($($type:ty),*) => {
        $(impl AttributeValue for $type {
            fn record(&self, slot: &mut Slot<'_>) {
                slot.display(self);
            }
        })*
    };
}
displayed!(char, crate::store::StreamId, crate::clock::Timestamp);

macro_rules! counted {
    ($($type:ty),*) => {
        $(impl AttributeValue for $type {
            fn record(&self, slot: &mut Slot<'_>) {
                self.get().record(slot);
            }
        })*
    };
}
counted!(crate::store::Version, crate::store::Position);

impl AttributeValue for Uuid {
    const NEVER_PANICS: bool = true;

    fn record(&self, slot: &mut Slot<'_>) {
        slot.text(self.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    }
}

impl AttributeValue for str {
    const NEVER_PANICS: bool = true;

    fn record(&self, slot: &mut Slot<'_>) {
        slot.text(self);
    }
}

impl AttributeValue for String {
    const NEVER_PANICS: bool = true;

    fn record(&self, slot: &mut Slot<'_>) {
        slot.text(self);
    }
}

impl AttributeValue for Cow<'_, str> {
    fn record(&self, slot: &mut Slot<'_>) {
        slot.text(self);
    }
}

impl<V: AttributeValue> AttributeValue for Option<V> {
    const NEVER_PANICS: bool = V::NEVER_PANICS;

    fn record(&self, slot: &mut Slot<'_>) {
        if let Some(value) = self {
            value.record(slot);
        }
    }
}

macro_rules! pointers {
    ($($type:ty),*) => {
        $(impl<V: AttributeValue + ?Sized> AttributeValue for $type {
            const NEVER_PANICS: bool = V::NEVER_PANICS;

            fn record(&self, slot: &mut Slot<'_>) {
                (**self).record(slot);
            }
        })*
    };
}
pointers!(&V, &mut V, Box<V>, Rc<V>, Arc<V>);

#[diagnostic::do_not_recommend]
impl<T: AsRef<str>> AttributeValue for [T] {
    fn record(&self, slot: &mut Slot<'_>) {
        slot.texts(self);
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str>> AttributeValue for Vec<T> {
    fn record(&self, slot: &mut Slot<'_>) {
        self.as_slice().record(slot);
    }
}

#[diagnostic::do_not_recommend]
impl<T: AsRef<str>, const N: usize> AttributeValue for [T; N] {
    fn record(&self, slot: &mut Slot<'_>) {
        self.as_slice().record(slot);
    }
}
