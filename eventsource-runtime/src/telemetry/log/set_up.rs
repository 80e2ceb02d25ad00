//! What the set-up reports to operators.

use super::ids;
use crate::telemetry::names;

/// A variable of the environment has a value that means nothing here.
pub(in crate::telemetry) fn setting_ignored(variable: &str, value: &str, hint: &str) {
    event!(
        "eventsource.telemetry.setting",
        names::LOG_TELEMETRY,
        WARN,
        { eventsource.setting.name = variable, eventsource.setting.value = value, eventsource.setting.hint = hint },
        "setting ignored"
    );
}
