//! Sensitive values: the wrapper, and how macro expansions keep sensitive fields off spans.

use std::borrow::Cow;
use std::cell::{Cell, LazyCell, OnceCell, Ref, RefCell, RefMut};
use std::cmp::Reverse;
use std::collections::{
    BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque, btree_map, hash_map, linked_list, vec_deque,
};
use std::fmt;
use std::iter::Rev;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Bound;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::task::Poll;
use std::{slice, vec};

use serde::{Deserialize, Serialize};

use crate::telemetry::{AttributeValue, Slot};

/// A value that is stored and sent, but never shown.
///
/// - `Debug` shows `<sensitive>`; there is no `Display`, and it cannot be the value of an attribute.
/// - serde passes through: payloads are those of the inner value, so a field can be wrapped later.
/// - The value is reached only through [`expose`](Self::expose). There is no `Deref`, so every place where it leaves
///   the wrapper can be searched for.
///
/// Nothing is encrypted: the store holds the value as it is. To have the memory overwritten when the value is dropped,
/// wrap a type that does so, such as `Zeroizing` of the crate `zeroize`:
///
/// ```
/// use eventsource_runtime::Sensitive;
/// use serde::{Deserialize, Serialize};
/// use zeroize::Zeroizing;
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Card {
///     number: Sensitive<Zeroizing<String>>,
/// }
///
/// let card: Card = serde_json::from_str(r#"{"number":"4111"}"#).unwrap();
/// assert_eq!(format!("{card:?}"), "Card { number: <sensitive> }");
/// assert_eq!(card.number.expose().as_str(), "4111");
/// assert_eq!(serde_json::to_string(&card).unwrap(), r#"{"number":"4111"}"#);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one use that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value without its wrapper.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<sensitive>")
    }
}

/// Never satisfied: it exists for its message.
#[doc(hidden)]
impl<T> AttributeValue for Sensitive<T>
where
    // A separate type, so that the compiler shows the message defined there.
    Field<T, WHOLE>: MayBeSeen,
{
    fn record(&self, _: &mut Slot<'_>) {}
}

/// What an attribute may show.
#[diagnostic::on_unimplemented(
    message = "a sensitive value cannot be an attribute",
    label = "sensitive",
    note = "spans, metrics and logs are read by others; remove the attribute, or name one that may be seen"
)]
pub trait MayBeSeen {}

/// A type that has a field marked as `sensitive`, identified by its name; [`WHOLE`] stands for the whole type.
pub trait HasSensitive<const FIELD: u128> {}

/// The type as a whole, which `Debug` would show with its sensitive fields.
pub const WHOLE: u128 = 0;

/// Marks what shows all of the `T` that it holds, as what it holds is marked.
macro_rules! shows {
    ($([$($generics:tt)*] $wrapper:ty),* $(,)?) => {$(
        impl<$($generics)*, const OF: u128> HasSensitive<OF> for $wrapper where T: HasSensitive<OF> {}
    )*};
}

shows! {
    [T: ?Sized] &T,
    [T: ?Sized] &mut T,
    [T: ?Sized] Arc<T>,
    [T: ?Sized] Box<T>,
    [T: ?Sized] Rc<T>,
    [T] Pin<T>,
    ['a, T: ToOwned + ?Sized] Cow<'a, T>,
    [T] Option<T>,
    [T] Bound<T>,
    [T] Poll<T>,
    [T] Reverse<T>,
    [T] (T,),
    [T] [T],
    [T, const N: usize] [T; N],
    [T] Vec<T>,
    [T] vec::IntoIter<T>,
    [T] VecDeque<T>,
    [T] LinkedList<T>,
    [T] BinaryHeap<T>,
    [T] BTreeSet<T>,
    [T, S] HashSet<T, S>,
    ['a, K, T] btree_map::Values<'a, K, T>,
    ['a, K, T] hash_map::Values<'a, K, T>,
    ['a, T] slice::Iter<'a, T>,
    ['a, T] vec_deque::Iter<'a, T>,
    ['a, T] linked_list::Iter<'a, T>,
    [T] Rev<T>,
    [T: ?Sized] ManuallyDrop<T>,
    [T: Copy] Cell<T>,
    [T: ?Sized] RefCell<T>,
    ['a, T: ?Sized] Ref<'a, T>,
    ['a, T: ?Sized] RefMut<'a, T>,
    [T] OnceCell<T>,
    [T, F] LazyCell<T, F>,
    [T] OnceLock<T>,
    [T, F] LazyLock<T, F>,
    [T: ?Sized] Mutex<T>,
    ['a, T: ?Sized] MutexGuard<'a, T>,
    [T: ?Sized] RwLock<T>,
    ['a, T: ?Sized] RwLockReadGuard<'a, T>,
    ['a, T: ?Sized] RwLockWriteGuard<'a, T>,
    [T: ?Sized] tokio::sync::Mutex<T>,
    ['a, T: ?Sized] tokio::sync::MutexGuard<'a, T>,
    [T: ?Sized] tokio::sync::RwLock<T>,
    ['a, T: ?Sized] tokio::sync::RwLockReadGuard<'a, T>,
    ['a, T: ?Sized] tokio::sync::RwLockWriteGuard<'a, T>,
}

// A type of two parts is marked by either, so each needs a mark of its own: `WHOLE` for the first, 1 for the second; and
// for a pair in a pair, 2 if that is the first and its second part is marked, 3 if that is the second and so is its own.

/// Marks what shows both of its parts.
macro_rules! shows_both {
    ($([$($generics:tt)*] $pair:ty),* $(,)?) => {$(
        impl<$($generics)*> HasSensitive<WHOLE> for $pair where A: HasSensitive<WHOLE> {}
        impl<$($generics)*> HasSensitive<1> for $pair where B: HasSensitive<WHOLE> {}
        impl<$($generics)*> HasSensitive<2> for $pair where A: HasSensitive<1> {}
        impl<$($generics)*> HasSensitive<3> for $pair where B: HasSensitive<1> {}
    )*};
}

shows_both! {
    [A, B] Result<A, B>,
    [A, B] (A, B),
    [B, A] BTreeMap<B, A>,
    [B, A, S] HashMap<B, A, S>,
    ['a, B, A] btree_map::Iter<'a, B, A>,
    ['a, B, A] hash_map::Iter<'a, B, A>,
}

impl<A: HasSensitive<WHOLE>, B, C> HasSensitive<WHOLE> for (A, B, C) {}
impl<A, B: HasSensitive<WHOLE>, C> HasSensitive<1> for (A, B, C) {}
impl<A, B, C: HasSensitive<WHOLE>> HasSensitive<2> for (A, B, C) {}

/// A field's name as a parameter of a type (FNV-1a).
#[must_use]
pub const fn field(name: &str) -> u128 {
    let bytes = name.as_bytes();
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u128).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        index += 1;
    }
    hash
}

/// A field that an attribute names, of a type that may mark it as sensitive.
pub struct Field<T: ?Sized, const FIELD: u128>(PhantomData<fn(&T)>);

impl<T: ?Sized, const FIELD: u128> Field<T, FIELD> {
    /// The field.
    #[must_use]
    pub const fn named() -> Self {
        Self(PhantomData)
    }
}

impl<T: ?Sized, const FIELD: u128> fmt::Debug for Field<T, FIELD> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Field")
    }
}

/// A field that must not be seen.
#[derive(Clone, Copy, Debug)]
pub struct Hidden;

/// A field that may be seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen;

impl MayBeSeen for Seen {}

impl<T: HasSensitive<FIELD> + ?Sized, const FIELD: u128> Field<T, FIELD> {
    /// The same as a constant.
    pub const HIDDEN: bool = true;

    /// The field is marked: this is found before the method of [`Unmarked`].
    #[must_use]
    pub const fn __es_shown(&self) -> Hidden {
        Hidden
    }
}

/// Any other field.
pub trait Unmarked {
    /// It may be seen.
    const HIDDEN: bool = false;

    /// It may be seen.
    fn __es_shown(&self) -> Seen {
        Seen
    }
}

impl<T: ?Sized, const FIELD: u128> Unmarked for Field<T, FIELD> {}

/// All that a value shows.
#[derive(Debug)]
pub struct Whole<T: ?Sized>(PhantomData<fn(&T)>);

/// Any value. A method, since a function would say something of a value of no known type, whose error is told already.
pub trait WholeOf {
    /// All that the value shows.
    fn __es_whole(&self) -> Whole<Self> {
        Whole(PhantomData)
    }
}

impl<T: ?Sized> WholeOf for T {}

/// Tries each mark that a type of several parts may have: the compiler takes the first method that it finds, from the
/// most references on.
macro_rules! tries {
    ($($place:ident: $mark:literal for $of:ty),*) => {$(
        /// One of the parts is marked.
        pub trait $place {
            /// It is hidden.
            fn __es_shown(&self) -> Hidden {
                Hidden
            }
        }

        impl<T: HasSensitive<$mark> + ?Sized> $place for $of {}
    )*};
}

tries!(Marked0: 0 for &&&&Whole<T>, Marked1: 1 for &&&Whole<T>, Marked2: 2 for &&Whole<T>, Marked3: 3 for &Whole<T>);

impl<T: ?Sized> Unmarked for Whole<T> {}

/// [`WHOLE`] if the type is marked, otherwise the name of no field.
#[must_use]
pub const fn whole_if(marked: bool) -> u128 {
    if marked { WHOLE } else { u128::MAX }
}

/// Accepts only what may be seen; anything else does not compile.
pub fn may_be_seen<S: MayBeSeen>(_: S) {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Marked(#[expect(dead_code, reason = "it has a size, as most have")] u8);
    impl HasSensitive<{ field("card") }> for Marked {}
    impl HasSensitive<WHOLE> for Marked {}

    #[test]
    fn only_marked_fields_are_hidden() {
        may_be_seen(Field::<Marked, { field("name") }>::named().__es_shown());
        may_be_seen(Field::<str, { field("card") }>::named().__es_shown());
        let Hidden = Field::<Marked, { field("card") }>::named().__es_shown();
    }

    #[test]
    fn what_shows_all_that_is_in_it_is_hidden_with_it() {
        type Batch = Vec<Option<Box<Marked>>>;
        let Hidden = Field::<Batch, WHOLE>::named().__es_shown();
        let Hidden = Field::<[&[Marked]; 2], WHOLE>::named().__es_shown();
        let Hidden = Field::<Arc<[Marked]>, WHOLE>::named().__es_shown();
        let Hidden = Field::<std::io::Result<Marked>, WHOLE>::named().__es_shown();
        may_be_seen(Field::<Vec<Option<u8>>, WHOLE>::named().__es_shown());
    }

    #[test]
    fn a_value_is_hidden_by_either_of_its_types() {
        macro_rules! shown {
            ($value:expr) => {{
                let whole = &&&&&$value.__es_whole();
                whole.__es_shown()
            }};
        }
        let Hidden = shown!([Some(Marked(1))]);
        let Hidden = shown!(Mutex::new(Marked(1)).lock());
        let Hidden = shown!(OnceCell::<Marked>::new());
        let Hidden = shown!(LazyCell::<Marked>::new(|| Marked(1)));
        let Hidden = shown!(ManuallyDrop::new(Marked(1)));
        let Hidden = shown!(VecDeque::<Marked>::new().iter());
        let Hidden = shown!(LinkedList::<Marked>::new().iter());
        let Hidden = shown!(Err::<u8, _>(Marked(1)));
        let Hidden = shown!([(1, Marked(1))].iter());
        let Hidden = shown!((Marked(1),));
        let Hidden = shown!((1, 2, Marked(1)));
        let Hidden = shown!((Marked(1), Marked(1)));
        let pairs = || [(1, Marked(1))];
        let Hidden = shown!((pairs(), 2));
        let Hidden = shown!(Some((2, pairs())));
        let Hidden = shown!(Ok::<_, u8>(pairs()));
        let Hidden = shown!(HashMap::from([(1, Marked(1))]).values());
        let Hidden = shown!(BTreeMap::<Marked, u8>::new());
        let Hidden = shown!(BTreeMap::from(pairs()).iter());
        may_be_seen(shown!(Ok::<_, u8>("seen")));
        may_be_seen(shown!(Some(1)));
        may_be_seen(shown!((1, ("2", [3.0]))));
        assert_eq!(whole_if(Field::<Marked, WHOLE>::HIDDEN), WHOLE);
        assert_ne!(whole_if(Field::<u8, WHOLE>::HIDDEN), WHOLE);
    }

    #[test]
    fn debug_hides_the_value_and_serde_does_not() {
        let value = Sensitive::new("secret".to_owned());
        assert_eq!(format!("{value:?} {:?}", Some(&value)), "<sensitive> Some(<sensitive>)");
        let json = serde_json::to_string(&value).expect("a text can be written");
        assert_eq!(json, "\"secret\"");
        assert_eq!(serde_json::from_str::<Sensitive<String>>(&json).expect("and read"), value);
        assert_eq!((value.expose().len(), value.into_exposed()), (6, "secret".to_owned()));
    }
}
