//! Tests the comparison with a file.

use serde::{Deserialize, Serialize};

use super::fields::tests::{Of, Payload};
use super::*;
use crate::testing::stored;

fn names(aggregate: &'static str, events: Vec<Named>) -> StoredNames {
    StoredNames { aggregates: BTreeMap::from([(aggregate, events)]), ..StoredNames::none() }
}

fn event(name: &'static str, aliases: &'static [&'static str], version: u32) -> Named {
    Named { name, aliases, version, oldest: 1, read: reads::<String> }
}

fn reads<T: Payload>(_: &str, version: u32, payload: &str) -> Result<(), DecodeError> {
    stored::<Of<T>>(version, payload).map(drop)
}

#[test]
fn a_renamed_type_needs_its_name_or_an_alias() {
    let kept = "Order/OrderPlaced 1\n";
    let renamed = names("Order", vec![event("OrderWasPlaced", &[], 1)]);
    let fault = renamed.compare(kept).err().unwrap();
    assert!(fault.contains("`OrderPlaced` of `Order`") && fault.contains("alias"), "{fault}");
    let fault = names("Purchase", vec![event("OrderPlaced", &[], 1)]).compare(kept).err().unwrap();
    assert!(fault.contains("name = \"Order\""), "{fault}");
    let aliased = names("Order", vec![event("OrderWasPlaced", &["OrderPlaced"], 1)]);
    assert_eq!(aliased.compare(kept).unwrap().text, "Order/OrderPlaced 1\nOrder/OrderWasPlaced 1\n");
    assert_eq!(aliased.compare("").unwrap().text, "Order/OrderPlaced 1\nOrder/OrderWasPlaced 1\n");
}

#[test]
fn a_version_may_rise_and_never_falls() {
    let kept = "Order/OrderPlaced 1\nOrder/OrderPlaced 2\n";
    assert!(names("Order", vec![event("OrderPlaced", &[], 1)]).compare(kept).is_err());
    assert_eq!(names("Order", vec![event("OrderPlaced", &[], 2)]).compare(kept).unwrap().lines, [""; 0]);
    let raised = names("Order", vec![event("OrderPlaced", &[], 3)]).compare(kept).unwrap();
    assert_eq!((raised.lines.len(), &*raised.text), (1, &*format!("{kept}Order/OrderPlaced 3\n")));
}

#[test]
fn what_was_stored_is_read_in_its_version() {
    let kept = "Order/OrderPlaced 1\nOrder/OrderPlaced 2\n";
    let reading = |oldest| names("Order", vec![Named { oldest, ..event("OrderPlaced", &[], 2) }]);
    assert_eq!(reading(1).compare(kept).unwrap().lines, [""; 0]);
    let fault = reading(2).compare(kept).err().unwrap();
    assert!(fault.contains("`upcast(1 => ..)`"), "{fault}");
    assert_eq!(reading(2).compare("Order/OrderPlaced 2\n").unwrap().lines, [""; 0]);
}

/// The file had the newest version alone: nobody noticed that an upcast was removed which it had not seen.
#[test]
fn versions_from_before_the_file_are_in_it() {
    let reading = |oldest| names("Order", vec![Named { oldest, ..event("OrderPlaced", &[], 3) }]);
    let kept = reading(1).compare("").unwrap().text;
    assert_eq!(kept, "Order/OrderPlaced 1\nOrder/OrderPlaced 2\nOrder/OrderPlaced 3\n");
    assert!(reading(2).compare(&kept).is_err());
}

/// Under its new name it would react to all events again, or write them a second time.
#[test]
fn a_renamed_process_manager_or_projection_needs_its_name() {
    for by in [PROCESS_MANAGER, PROJECTION] {
        let named = |name| StoredNames { checkpoints: BTreeSet::from([(by, name)]), ..names("Order", Vec::new()) };
        let kept = named("Shipping").compare("").unwrap().text;
        assert_eq!(kept, format!("{by}/Shipping 1\n"));
        assert_eq!(named("Shipping").compare(&kept).unwrap().lines, [""; 0]);
        let fault = named("Delivery").compare(&kept).err().unwrap();
        assert!(fault.contains(&format!("`#[{by}(name = \"Shipping\")]`")), "{fault}");
    }
}

/// A projection took the one for the other.
#[test]
fn two_types_of_one_name_are_told() {
    let mut names = StoredNames::none();
    names.is(Kind::Event, "Created", "books::Created");
    names.is(Kind::Aggregate, "Created", "books::Created");
    // Of two aggregates.
    names.is(Kind::Event, "Created", "books::Created");
    assert_eq!(names.compare("").unwrap().lines, [""; 0]);
    names.is(Kind::Event, "Created", "films::Created");
    let fault = names.compare("").err().unwrap();
    assert!(fault.contains("`books::Created` and of `films::Created`") && fault.contains("#[event("), "{fault}");
}

/// The second waited for the first one's lease, and went on from its checkpoint.
#[test]
fn two_checkpoints_of_one_name_are_told() {
    let mut names = StoredNames::none();
    names.is(Kind::ProcessManager, "Orders", "books::Orders");
    for (backend, of) in [("Memory", "books::Orders"), ("Sqlite", "films::Orders"), ("Sqlite", "films::Orders")] {
        names.is(Kind::Projection(backend), "Orders", of);
    }
    assert_eq!(names.compare("").unwrap().lines, [""; 0]);
    for (kind, option) in [(Kind::ProcessManager, "process_manager"), (Kind::Projection("Sqlite"), "projection")] {
        names.shared.clear();
        names.is(kind, "Orders", "music::Orders");
        let fault = names.compare("").err().unwrap();
        assert!(fault.contains("and of `music::Orders`") && fault.contains(&format!("`#[{option}(name")), "{fault}");
    }
}

/// The next check read the file's own lines as those of an aggregate `Sales`.
#[test]
fn names_may_have_slashes() {
    let mut names = names("Sales/Order", vec![event("Added", &[], 1), event("Line/Added", &[], 1)]);
    names.checkpoints.insert((PROJECTION, "sales/orders"));
    let kept = names.compare("").unwrap().text;
    assert_eq!(kept, "Sales/Order/Added 1\nSales/Order/Line/Added 1\nprojection/sales/orders 1\n");
    assert_eq!(names.compare(&kept).unwrap().lines, [""; 0]);
    names.aggregates.insert("Sales", vec![event("Opened", &[], 1)]);
    assert_eq!(names.compare(&kept).unwrap().lines, ["`Sales/Opened 1`"]);
}

#[test]
fn a_line_that_cannot_be_read_is_told() {
    let fault = names("Order", Vec::new()).compare("OrderPlaced\n").err().unwrap();
    assert!(fault.contains("`OrderPlaced` is not"), "{fault}");
}

#[derive(Serialize, Deserialize)]
struct Placed {
    customer: String,
    total: u64,
}

fn order<T: Payload>(name: &'static str, aliases: &'static [&'static str], version: u32) -> StoredNames {
    names("Order", vec![Named { read: reads::<T>, ..event(name, aliases, version) }])
}

#[derive(Serialize, Deserialize)]
struct InCurrency {
    customer: String,
    total: u64,
    currency: String,
}

/// It was noticed when the first of the events stored before was loaded.
#[test]
fn a_new_required_field_is_told() {
    let kept = order::<Placed>("OrderPlaced", &[], 1).compare("").unwrap().text;
    assert_eq!(kept, "Order/OrderPlaced 1: customer, total\n");
    assert_eq!(order::<Placed>("OrderPlaced", &[], 1).compare(&kept).unwrap().lines, [""; 0]);
    let fault = order::<InCurrency>("OrderPlaced", &[], 1).compare(&kept).err().unwrap();
    let expected = "`OrderPlaced 1` of `Order` requires `currency`, which events stored as version 1 do not have; give it \
                    `#[serde(default)]`";
    assert!(fault.starts_with(expected) && fault.contains("write `upcast(1 => ..)`"), "{fault}");
    let renamed = order::<InCurrency>("OrderWasPlaced", &["OrderPlaced"], 1).compare(&kept);
    assert!(renamed.is_err(), "what is stored under its former name is read by it");
    let raised = order::<InCurrency>("OrderPlaced", &[], 2).compare(&kept).unwrap();
    assert_eq!(raised.lines, ["`Order/OrderPlaced 2: currency, customer, total`"]);
    assert_eq!(raised.text, format!("{kept}Order/OrderPlaced 2: currency, customer, total\n"));
}

/// Required again, it would be missing in what was stored meanwhile.
#[test]
fn a_field_that_is_no_longer_required_is_new() {
    let kept = "Order/OrderPlaced 1: currency, customer, total\n";
    let removed = order::<Placed>("OrderPlaced", &[], 1).compare(kept).unwrap();
    assert_eq!(removed.lines, ["`Order/OrderPlaced 1: customer, total`"]);
    assert_eq!(removed.text, format!("{kept}Order/OrderPlaced 1: customer, total\n"));
    assert_eq!(order::<Placed>("OrderPlaced", &[], 1).compare(&removed.text).unwrap().lines, [""; 0]);
    assert!(order::<InCurrency>("OrderPlaced", &[], 1).compare(&removed.text).is_err());
}

#[test]
fn a_renamed_field_needs_its_alias() {
    #[derive(Serialize, Deserialize)]
    struct Renamed {
        #[serde(alias = "customer")]
        buyer: String,
        total: u64,
    }
    let renamed = || order::<Renamed>("OrderPlaced", &[], 1);
    let kept = "Order/OrderPlaced 1: customer, total\n";
    let text = renamed().compare(kept).unwrap().text;
    assert_eq!(text, format!("Order/OrderPlaced 1: buyer, total\n{kept}"));
    assert_eq!(renamed().compare(&text).unwrap().lines, [""; 0]);
    let fault = order::<Placed>("OrderPlaced", &[], 1).compare("Order/OrderPlaced 1: buyer, total\n").err().unwrap();
    assert!(fault.contains("requires `customer`") && fault.contains("`#[serde(alias = \"..\")]`"), "{fault}");
}

/// A file from before it had fields fails no test, and learns them when it is written.
#[test]
fn a_line_without_fields_says_nothing_of_them() {
    for kept in ["Order/OrderPlaced 1\n", "Order/OrderPlaced 1\nOrder/OrderPlaced 2\n"] {
        let version = if kept.contains('2') { 2 } else { 1 };
        let new = order::<InCurrency>("OrderPlaced", &[], version).compare(kept).unwrap();
        assert_eq!((new.lines, new.is_completed), (vec![], true));
        let written = format!("{}: currency, customer, total\n", kept.trim_end());
        assert_eq!(new.text, written);
        let new = order::<InCurrency>("OrderPlaced", &[], version).compare(&written).unwrap();
        assert_eq!((new.lines, new.is_completed, new.text), (vec![], false, written));
    }
    let unknown =
        names("Order", vec![event("OrderPlaced", &[], 1)]).compare("Order/OrderPlaced 1: customer\n").unwrap();
    assert_eq!((unknown.lines, unknown.is_completed), (vec![], false));
    assert_eq!(unknown.text, "Order/OrderPlaced 1: customer\n");
}

#[test]
fn an_event_without_fields_has_a_colon() {
    #[derive(Serialize, Deserialize)]
    struct Opened {}
    #[derive(Serialize, Deserialize)]
    struct OpenedBy {
        who: String,
    }
    let kept = order::<Opened>("Opened", &[], 1).compare("").unwrap().text;
    assert_eq!(kept, "Order/Opened 1:\n");
    let by = order::<OpenedBy>("Opened", &[], 1);
    assert!(by.compare(&kept).err().unwrap().contains("requires `who`"));
}

#[test]
fn a_name_may_look_like_fields() {
    #[derive(Serialize, Deserialize)]
    struct Odd {
        #[serde(rename = "a, b")]
        field: u8,
    }
    let odd = order::<Odd>("Odd", &[], 1);
    assert_eq!(odd.compare("").unwrap().text, "Order/Odd 1\n");
    for line in ["Order/Placed: now 1", "Order/a::b 1", "Order/Placed 1: 2"] {
        assert_eq!(with_fields(line), None, "{line}");
    }
}
