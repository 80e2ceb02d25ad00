//! The attributes of a span as OpenTelemetry takes them.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::{Array, KeyValue, StringValue, Value};

#[derive(Default)]
pub(in crate::telemetry) struct AttributeList(Vec<KeyValue>);

impl AttributeList {
    /// With room for that many attributes, so that one allocation suffices.
    pub(super) fn with_room(attributes: usize) -> Self {
        Self(Vec::with_capacity(attributes))
    }

    pub(in crate::telemetry) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::telemetry) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub(in crate::telemetry) fn keep_last(&mut self) {
        let mut place = 0;
        while let Some((one, later)) = self.0.get(place..).and_then(<[_]>::split_first) {
            if later.iter().any(|other| other.key == one.key) {
                self.0.remove(place);
            } else {
                place += 1;
            }
        }
    }

    pub(in crate::telemetry) fn text(&mut self, key: &'static str, value: &'static str) {
        self.push(key, Value::String(value.into()));
    }

    pub(in crate::telemetry) fn string(&mut self, key: &'static str, value: String) {
        self.push(key, Value::String(value.into()));
    }

    pub(in crate::telemetry) fn shared(&mut self, key: &'static str, value: Arc<str>) {
        self.push(key, Value::String(value.into()));
    }

    pub(in crate::telemetry) fn int(&mut self, key: &'static str, value: i64) {
        self.push(key, Value::I64(value));
    }

    pub(in crate::telemetry) fn float(&mut self, key: &'static str, value: f64) {
        self.push(key, Value::F64(value));
    }

    pub(in crate::telemetry) fn bool(&mut self, key: &'static str, value: bool) {
        self.push(key, Value::Bool(value));
    }

    pub(in crate::telemetry) fn texts(
        &mut self,
        key: &'static str,
        values: &mut dyn Iterator<Item = Cow<'static, str>>,
    ) {
        let values = values.map(StringValue::from).collect();
        self.push(key, Value::Array(Array::String(values)));
    }

    pub(super) fn into_vec(self) -> Vec<KeyValue> {
        self.0
    }

    #[inline]
    fn push(&mut self, key: &'static str, value: Value) {
        self.0.push(KeyValue::new(key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_values_with_one_key_the_last_is_kept() {
        let mut list = AttributeList::default();
        for (key, value) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("a", 5), ("b", 6)] {
            list.int(key, value);
        }
        list.keep_last();
        assert_eq!(list.into_vec(), [("c", 4), ("a", 5), ("b", 6)].map(|(key, value)| KeyValue::new(key, value)));
    }
}
