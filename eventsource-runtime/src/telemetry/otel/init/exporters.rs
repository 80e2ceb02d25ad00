//! What the environment sends where, and what it leaves to the code.

use std::io;

use super::TelemetryBuilder;
use super::console::Printing;
use super::env::{Exporter, Signal};
use super::otlp::Otlp;
use crate::telemetry::TelemetryError;

impl TelemetryBuilder {
    pub(super) fn add_exporters(&mut self) -> Result<(), TelemetryError> {
        let env = self.env.clone();
        let otlp = Otlp::new(&env, &self.losses);
        let traces = self.exporters(Signal::Traces);
        for exporter in &traces {
            match exporter {
                Exporter::Otlp => otlp.traces(&mut self.spans)?,
                Exporter::Console => self.spans.add(self.console()),
            }
        }
        for exporter in self.exporters(Signal::Metrics) {
            match exporter {
                Exporter::Otlp => otlp.metrics(&mut self.readers)?,
                Exporter::Console => self.readers.print(Printing::to(io::stderr(), "metric exports"), &env.ignored),
            }
        }
        for exporter in self.exporters(Signal::Logs) {
            match exporter {
                Exporter::Otlp => otlp.logs(&mut self.logs)?,
                Exporter::Console => self.printing = Some(Printing::to(io::stderr(), "log events")),
            }
        }
        // Whoever has trees to look at, and no subscriber, would not hear why a projection stops.
        let is_open = env.exporters(Signal::Logs).is_none() && env.endpoint(Signal::Logs).is_none();
        if is_open && self.logs.is_empty() && traces.contains(&Exporter::Console) {
            self.printing = Some(Printing::in_place_of_a_subscriber(io::stderr()));
        }
        Ok(())
    }

    fn exporters(&self, signal: Signal) -> Vec<Exporter> {
        if let Some(exporters) = self.env.exporters(signal) {
            return exporters;
        }
        match self.env.endpoint(signal) {
            Some(_) => vec![Exporter::Otlp],
            None if signal == Signal::Traces && self.console_without_endpoint => vec![Exporter::Console],
            None => Vec::new(),
        }
    }
}
