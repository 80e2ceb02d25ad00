//! What the set-up and exporting report to operators.

/// Telemetry of these signals is lost, and why; with all spans and log records that are by now, if any are.
pub(in crate::telemetry) fn lost(signals: &str, lost: Option<u64>, why: &str) {
    event!("eventsource.telemetry.lost", LOG_TELEMETRY, WARN, "telemetry is lost", {
        eventsource.signal = signals, eventsource.dropped = lost, exception.message = why
    });
}

/// The exporters of a signal, one of which failed, work again; with all that is lost by now.
pub(in crate::telemetry) fn export_works(signal: &str, lost: u64) {
    event!("eventsource.telemetry.export_works", LOG_TELEMETRY, INFO, "export works again", {
        eventsource.signal = signal, eventsource.dropped = lost
    });
}

/// A variable of the environment has a value that means nothing here.
pub(in crate::telemetry) fn setting_ignored(variable: &str, value: &str, hint: &str) {
    event!("eventsource.telemetry.setting", LOG_TELEMETRY, WARN, "setting ignored", {
        eventsource.setting.name = variable, eventsource.setting.value = value, eventsource.setting.hint = hint
    });
}
