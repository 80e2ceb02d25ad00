//! The headers of a message that it has no method for.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Names and values beside those that every event has. Cloning is cheap.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<Vec<Header>>>);

type Header = (Arc<str>, Bytes);

impl Headers {
    /// The last value under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.all().iter().rev().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    /// The last value under a name, if it is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.all().iter().map(|(name, value)| (&**name, value))
    }

    /// Adds a header after those that are there.
    pub(super) fn push(&mut self, name: Arc<str>, value: Bytes) {
        Arc::make_mut(self.0.get_or_insert_default()).push((name, value));
    }

    pub(super) fn set(&mut self, name: Arc<str>, value: Bytes) {
        let all = Arc::make_mut(self.0.get_or_insert_default());
        all.retain(|(known, _)| *known != name);
        all.push((name, value));
    }

    /// Takes away the headers of those names.
    pub(super) fn remove(&mut self, names: &[&str]) {
        if let Some(all) = &mut self.0 {
            Arc::make_mut(all).retain(|(name, _)| !names.contains(&&**name));
        }
    }

    fn all(&self) -> &[Header] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// All headers, in order.
impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a str, &'a Bytes);
    type IntoIter = Box<dyn Iterator<Item = Self::Item> + Send + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

/// Names only; values may hold anything.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_sees_all_headers_in_order() {
        let mut headers = Headers::default();
        for (name, value) in [("b", "1"), ("a", "2"), ("b", "3")] {
            headers.push(name.into(), value.into());
        }
        let mut seen = Vec::new();
        for (name, value) in &headers {
            seen.push((name, &**value));
        }
        assert_eq!(seen, [("b", b"1".as_slice()), ("a", b"2"), ("b", b"3")]);
    }
}
