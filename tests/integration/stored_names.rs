//! What the tests' own domains have stored stays readable.

use eventsource_runtime::testing::StoredNames;
use eventsource_tests::orders::{Order, OrderReadModel};

#[test]
fn are_those_of_the_file() {
    StoredNames::of::<Order>().projection(&OrderReadModel).check("integration/stored-names.txt");
}
