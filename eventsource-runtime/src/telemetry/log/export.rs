//! What the set-up and exporting report to operators.

use std::fmt::Display;

/// An exporter began to fail: what it is given is lost until it works again.
pub(in crate::telemetry) fn export_fails(signal: &str, error: &dyn Display) {
    event!("eventsource.telemetry.export_fails", LOG_TELEMETRY, WARN, "export fails", {
        eventsource.signal = signal, exception.message = %error
    });
}

/// An exporter that failed works again.
pub(in crate::telemetry) fn export_works(signal: &str) {
    event!("eventsource.telemetry.export_works", LOG_TELEMETRY, INFO, "export works again", {
        eventsource.signal = signal
    });
}

/// A receiver answered that all is well, but did not take everything: what it rejected is lost.
pub(in crate::telemetry) fn rejected(signal: &str, count: u64, reason: &str) {
    event!("eventsource.telemetry.rejected", LOG_TELEMETRY, WARN, "rejected", {
        eventsource.signal = signal, eventsource.dropped = count, exception.message = reason
    });
}

/// Spans or log records are made faster than they are exported, or nothing takes them: those that do not fit into the
/// queue are lost.
pub(in crate::telemetry) fn dropped(signal: &str, dropped: u64) {
    event!("eventsource.telemetry.dropped", LOG_TELEMETRY, WARN, "dropped", {
        eventsource.signal = signal, eventsource.dropped = dropped
    });
}

/// A variable of the environment has a value that means nothing here.
pub(in crate::telemetry) fn setting_ignored(variable: &str, value: &str, hint: &str) {
    event!("eventsource.telemetry.setting", LOG_TELEMETRY, WARN, "setting ignored", {
        eventsource.setting.name = variable, eventsource.setting.value = value, eventsource.setting.hint = hint
    });
}
