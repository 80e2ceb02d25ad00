//! In a build without the feature `prometheus` nobody scrapes.

#[derive(Debug, Default)]
pub(super) struct Scrapes(());

impl Scrapes {
    #[allow(clippy::unused_self)] // As its twin has it.
    pub(super) fn begin(self) {}
}
