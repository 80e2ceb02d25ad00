//! What the macros refuse. A file a fault, named for it; expected output is the pinned compiler's.
//!
//! `TRYBUILD=overwrite` rewrites the expected output. What is accepted is in `tests/hostile`: a program that passes would
//! have each case compiled alone.

#[test]
fn refused() {
    trybuild::TestCases::new().compile_fail("fail/*/*.rs");
}
