//! Settings of the environment that are ignored. They are told when the set-up is done: before that nothing exports
//! what is logged, and the layers of most subscribers need the finished set-up.

use std::mem;
use std::sync::Arc;

use opentelemetry::KeyValue;

use super::Telemetry;
use crate::sync::Mutex;
use crate::telemetry::otel::{line, pipeline};
use crate::telemetry::{log, names};

/// What one set-up ignores; a clone is the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ignored(Arc<Mutex<Vec<Setting>>>);

#[derive(Debug, PartialEq, Eq)]
struct Setting {
    variable: String,
    value: String,
    hint: &'static str,
}

impl Ignored {
    /// Keeps a setting to be told, once, however often it is read.
    pub(super) fn add(&self, variable: &str, value: &str, hint: &'static str) {
        let setting = Setting { variable: variable.to_owned(), value: value.to_owned(), hint };
        let mut settings = self.0.lock();
        if !settings.contains(&setting) {
            settings.push(setting);
        }
    }

    /// Logs them in the set-up, if there is one now; where no subscriber takes them, also to stderr.
    pub(super) fn tell(&self, telemetry: Option<&Telemetry>) {
        let settings = mem::take(&mut *self.0.lock());
        if settings.is_empty() {
            return;
        }
        let _attached = telemetry.map(Telemetry::attach);
        for Setting { variable, value, hint } in &settings {
            log::setting_ignored(variable, value, hint);
        }
        if !telemetry.is_some_and(Telemetry::prints_logs) && pipeline::nobody_listens() {
            for setting in &settings {
                line::warn("setting ignored", &setting.fields());
            }
        }
    }
}

impl Setting {
    fn fields(&self) -> [KeyValue; 3] {
        [
            KeyValue::new(names::EVENTSOURCE_SETTING_NAME, self.variable.clone()),
            KeyValue::new(names::EVENTSOURCE_SETTING_VALUE, self.value.clone()),
            KeyValue::new(names::EVENTSOURCE_SETTING_HINT, self.hint),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_read_again_is_kept_once() {
        let ignored = Ignored::default();
        let same = ignored.clone();
        for value in ["1", "1", "yes"] {
            ignored.add("OTEL_SDK_DISABLED", value, "write `true` or `false`");
            same.add("OTEL_SDK_DISABLED", value, "write `true` or `false`");
        }
        let kept = ignored.0.lock();
        assert_eq!(kept.iter().map(|setting| &*setting.value).collect::<Vec<_>>(), ["1", "yes"]);
    }
}
