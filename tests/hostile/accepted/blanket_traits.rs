//! Traits that everything has, with methods of names that expansions might use.

use eventsource_runtime::prelude::*;

trait Everything {
    fn end(&self) {}
    fn finish(&self) {}
    fn outcome(&self) {}
    fn record(&self) {}
    fn start(&self) {}
}

impl<T: ?Sized> Everything for T {}

#[traced(record("n" = result.as_ref().ok()))]
fn sync() -> Result<u32, String> {
    Ok(1)
}

#[traced(attributes(n))]
async fn waiting(n: u32) -> u32 {
    n
}

pub(super) fn main() {
    sync().unwrap().end();
    drop(waiting(1));
}
