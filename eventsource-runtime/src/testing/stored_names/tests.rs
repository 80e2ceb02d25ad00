//! Tests the comparison with a file.

use super::*;

fn names(aggregate: &'static str, events: Vec<Named>) -> StoredNames {
    StoredNames { aggregates: BTreeMap::from([(aggregate, events)]), ..StoredNames::none() }
}

fn event(name: &'static str, aliases: &'static [&'static str], version: u32) -> Named {
    Named { name, aliases, version, oldest: 1 }
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

/// Lines of an earlier version of the check.
#[test]
fn fields_after_a_version_are_ignored() {
    let names =
        names("Order", vec![event("Placed: now", &[], 1), event("Placed 1:", &[], 2), event("Shipped", &[], 1)]);
    let text = names.compare("").unwrap().text;
    let kept = text.replace("Order/Shipped 1", "Order/Shipped 1:\nOrder/Shipped 1: carrier, tracking");
    let new = names.compare(&kept).unwrap();
    assert_eq!((new.lines, new.text), (vec![], text));
}
