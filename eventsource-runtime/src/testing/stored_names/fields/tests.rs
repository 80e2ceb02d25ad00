//! Tests which fields are found, and which shapes stay unknown.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU8;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::domain::{Event, Sensitive};
use crate::testing::stored;

/// What an event may consist of.
pub(in crate::testing::stored_names) trait Payload:
    Serialize + DeserializeOwned + Send + Sync + 'static
{
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Payload for T {}

#[derive(Serialize, Deserialize)]
#[serde(transparent, bound = "T: Payload")]
pub(in crate::testing::stored_names) struct Of<T>(T);

impl<T: Payload> Event for Of<T> {
    const NAME: &'static str = "Of";
    const VERSION: u32 = 2;
    const UPCASTS: &'static [(u32, crate::domain::Upcast)] = &[(1, Ok)];
}

fn reads<T: Payload>(payload: &str) -> Result<(), DecodeError> {
    stored::<Of<T>>(2, payload).map(drop)
}

/// The fields, in order. A payload that has them, or others as well, fits.
fn fields<T: Payload>() -> Option<String> {
    let required = required(&reads::<T>)?;
    assert_eq!(misfits(&reads::<T>, &required), []);
    let more = required.iter().cloned().chain(["zzz".to_owned()]).collect();
    assert_eq!(misfits(&reads::<T>, &more).iter().filter(|misfit| matches!(misfit, Misfit::Lacks(_))).count(), 0);
    Some(Vec::from_iter(required).join(" "))
}

fn lacking<T: Payload>(stored: &str) -> Vec<Misfit> {
    misfits(&reads::<T>, &stored.split_whitespace().map(str::to_owned).collect())
}

fn lacks(field: &str) -> Misfit {
    Misfit::Lacks(field.to_owned())
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Placed {
    customer_name: String,
    #[serde(rename = "sum", alias = "total")]
    amount: u64,
    note: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(skip)]
    _cached: u8,
    #[serde(deserialize_with = "maybe")]
    always: Option<u8>,
    at: (),
}

fn maybe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    Option::deserialize(deserializer)
}

#[test]
fn attributes_of_serde_have_their_effect() {
    assert_eq!(fields::<Placed>().unwrap(), "always at customerName sum");
    assert_eq!(lacking::<Placed>("always at customerName total"), []);
    assert_eq!(lacking::<Placed>("at customer_name sum"), [lacks("customerName"), lacks("always")]);
    assert_eq!(fields::<Of<Placed>>(), fields::<Placed>());
}

#[test]
fn attributes_of_the_type_have_their_effect() {
    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Lenient {
        a: u8,
        b: String,
    }
    #[derive(Serialize, Deserialize)]
    struct Opened {}
    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        a: u8,
    }
    assert_eq!(fields::<Lenient>().unwrap(), "");
    assert_eq!(fields::<Opened>().unwrap(), "");
    assert_eq!(fields::<Strict>().unwrap(), "a");
    assert_eq!(lacking::<Strict>("a b"), [Misfit::Refused("b".to_owned())]);
    assert_eq!(lacking::<Strict>("b"), [Misfit::Refused("b".to_owned()), lacks("a")]);
}

#[derive(Clone, Serialize, Deserialize)]
struct Money {
    amount: i64,
    currency: Currency,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Currency(String);

impl TryFrom<String> for Currency {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(code))
        } else {
            Err("no code")
        }
    }
}

impl From<Currency> for String {
    fn from(Currency(code): Currency) -> Self {
        code
    }
}

#[derive(Serialize, Deserialize)]
#[serde(try_from = "Vec<Money>", into = "Vec<Money>")]
#[derive(Clone)]
struct SomeLines(Vec<Money>);

impl TryFrom<Vec<Money>> for SomeLines {
    type Error = &'static str;

    fn try_from(lines: Vec<Money>) -> Result<Self, Self::Error> {
        if lines.is_empty() { Err("no lines") } else { Ok(Self(lines)) }
    }
}

impl From<SomeLines> for Vec<Money> {
    fn from(SomeLines(lines): SomeLines) -> Self {
        lines
    }
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Paid {
    Card { number: u64, owner: String },
    Cash,
}

#[derive(Serialize, Deserialize)]
enum Sent {
    By { carrier: String },
    To(u8, String),
}

#[derive(Serialize, Deserialize)]
struct Tree {
    leaf: Uuid,
    under: Vec<Tree>,
    or: Option<Box<Tree>>,
}

#[derive(Serialize, Deserialize)]
struct Rich {
    price: Money,
    lines: SomeLines,
    paid: Paid,
    sent: Sent,
    tree: Tree,
    id: Uuid,
    ids: BTreeMap<Uuid, u8>,
    address: IpAddr,
    count: NonZeroU8,
    ratio: f64,
    digest: [u8; 32],
    pair: (bool, char, Money),
    any: Value,
    secret: Sensitive<String>,
    amount: u8,
    last: String,
}

#[test]
fn values_are_made_up() {
    let expected = "address amount any count digest id ids last lines paid pair price ratio secret sent tree";
    assert_eq!(fields::<Rich>().unwrap(), expected);
}

#[test]
fn fields_may_come_from_elsewhere() {
    #[derive(Serialize, Deserialize)]
    struct Flat {
        before: String,
        #[serde(flatten)]
        price: Money,
        after: u8,
    }
    #[derive(Serialize, Deserialize)]
    struct Open {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    }
    assert_eq!(fields::<Flat>().unwrap(), "after amount before currency");
    assert_eq!(fields::<Open>().unwrap(), "id");
    assert_eq!(lacking::<Flat>("before after amount"), [lacks("currency")]);
}

#[test]
fn a_type_may_be_read_as_another() {
    #[derive(Clone, Serialize, Deserialize)]
    #[serde(from = "Money", into = "Money")]
    struct Converted(Money);
    impl From<Money> for Converted {
        fn from(money: Money) -> Self {
            Self(money)
        }
    }
    impl From<Converted> for Money {
        fn from(Converted(money): Converted) -> Self {
            money
        }
    }
    assert_eq!(fields::<Converted>().unwrap(), "amount currency");
}

#[test]
fn a_type_may_be_read_by_hand() {
    #[derive(Serialize)]
    struct ByHand {
        a: u64,
    }
    impl<'de> Deserialize<'de> for ByHand {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let map = BTreeMap::<String, u64>::deserialize(deserializer)?;
            let a = map.get("a").copied().ok_or_else(|| D::Error::missing_field("a"))?;
            Ok(Self { a: a + map.get("b").copied().unwrap_or(0) })
        }
    }
    assert_eq!(fields::<ByHand>().unwrap(), "a");
    assert_eq!(lacking::<ByHand>("b"), [lacks("a")]);
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Checked(String);

impl TryFrom<String> for Checked {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "4711-X" { Ok(Self(text)) } else { Err("wrong check digit") }
    }
}

impl From<Checked> for String {
    fn from(Checked(text): Checked) -> Self {
        text
    }
}

/// Its type is out of reach, and that it is missing is not.
#[test]
fn a_new_field_needs_no_value() {
    #[derive(Serialize, Deserialize)]
    struct Labelled {
        total: u8,
        label: Checked,
        other: u8,
    }
    assert_eq!(fields::<Labelled>(), None);
    assert_eq!(lacking::<Labelled>("total"), [lacks("label")]);
    assert_eq!(lacking::<Labelled>("total label"), [], "`other` is after it");
}

#[test]
fn other_shapes_are_unknown() {
    #[derive(Serialize, Deserialize)]
    struct Unit;
    #[derive(Serialize, Deserialize)]
    struct Pair(u8, u8);
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Either {
        A { a: u8 },
        B { b: u8 },
    }
    #[derive(Serialize, Deserialize)]
    struct Payment {
        #[serde(flatten)]
        paid: Paid,
    }
    #[derive(Serialize, Deserialize)]
    #[serde(from = "Value")]
    struct Panicking(u8);
    impl From<Value> for Panicking {
        fn from(value: Value) -> Self {
            Self(value["a"]["b"].as_u64().unwrap().try_into().unwrap())
        }
    }
    macro_rules! unknown {
        ($($type:ty)*) => {$(
            assert_eq!(fields::<$type>(), None, "{}", stringify!($type));
            for stored in ["kind", "kind a", "kind b", "kind number owner"] {
                assert_eq!(lacking::<$type>(stored), [], "{}: {stored}", stringify!($type));
            }
        )*};
    }
    unknown!(Unit Pair Either Sent Paid Payment String Vec<u8> Panicking);
}

/// With the variant that came first, the others seemed to lack what only it has.
#[test]
fn a_variant_is_not_the_whole() {
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Moved {
        In { amount: u8 },
        Out { amount: u8 },
    }
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum MovedToo {
        Over { amount: u8, to: u8 },
        In { amount: u8 },
        Out { amount: u8 },
    }
    assert_eq!(fields::<Moved>().unwrap(), "amount kind");
    assert_eq!(fields::<MovedToo>(), None);
    assert_eq!(lacking::<MovedToo>("amount kind"), []);
}

/// An object within one that serde buffers seemed to be the whole.
#[test]
fn a_field_of_a_field_is_not_a_field() {
    #[derive(Serialize, Deserialize)]
    struct Inner {
        deep: Deep,
    }
    #[derive(Serialize, Deserialize)]
    struct Deep {
        label: Checked,
    }
    #[derive(Serialize, Deserialize)]
    struct Outer {
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
        #[serde(flatten)]
        inner: Inner,
    }
    #[derive(Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        A { deep: Deep },
    }
    #[derive(Serialize, Deserialize)]
    struct Around<T> {
        deep: T,
        other: u8,
    }
    assert_eq!(fields::<Outer>(), None);
    for unknown in [lacking::<Outer>, lacking::<Around<Deep>>, lacking::<Around<Inner>>, lacking::<Around<Tagged>>] {
        for stored in ["deep", "deep other"] {
            assert_eq!(unknown(stored), [], "{stored}");
        }
    }
    assert_eq!(lacking::<Outer>(""), [lacks("deep")]);
}
