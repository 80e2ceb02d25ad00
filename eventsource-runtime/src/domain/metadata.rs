//! What an application stores beside a payload.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Names and values that are stored with each event of a command and never reach telemetry.
///
/// Cloning is cheap; an empty map takes no memory.
///
/// ```
/// # use eventsource_runtime::Metadata;
/// let metadata = Metadata::from([("tenant", "north")]);
/// assert_eq!(metadata.get("tenant"), Some("north"));
/// for (name, value) in &metadata {
///     assert_eq!((name, value), ("tenant", "north"));
/// }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(Option<Arc<BTreeMap<String, String>>>);

impl Metadata {
    /// Nothing yet.
    ///
    /// ```
    /// # use eventsource_runtime::Metadata;
    /// const NONE: Metadata = Metadata::new();
    /// assert_eq!(NONE.with("tenant", "north").len(), 1);
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// The value under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name).map(String::as_str)
    }

    /// Sets a value, replacing the one that the name had.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extend([(name, value)]);
        self
    }

    /// How many names it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |map| map.len())
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|map| map.is_empty())
    }

    /// The total length of all names and values.
    pub(crate) fn bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|map| map.iter()).map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The names and values, sorted by name.
impl<'a> IntoIterator for &'a Metadata {
    type Item = (&'a str, &'a str);
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + Send + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Metadata {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut metadata = Self::default();
        metadata.extend(pairs);
        metadata
    }
}

/// Sets values, replacing those that the names had.
///
/// ```
/// # use eventsource_runtime::Metadata;
/// let mut metadata = Metadata::from([("tenant", "north"), ("user", "ada")]);
/// metadata.extend([("tenant", "south")]);
/// assert_eq!((metadata.get("tenant"), metadata.len()), (Some("south"), 2));
/// ```
impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Metadata {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        for (name, value) in pairs {
            Arc::make_mut(self.0.get_or_insert_default()).insert(name.into(), value.into());
        }
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Metadata {
    fn from(pairs: [(K, V); N]) -> Self {
        Self::from_iter(pairs)
    }
}

/// Shows only the names; values may hold anything.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}
