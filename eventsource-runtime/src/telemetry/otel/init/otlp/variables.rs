//! The names of the variables of OTLP: one for all signals, and one for each.

use crate::telemetry::otel::init::env::{Env, Signal};

macro_rules! variables {
    ($($variant:ident $name:literal)*) => {
        /// What a pair of variables is about.
        #[derive(Clone, Copy, Debug)]
        pub(super) enum Variable {
            $($variant,)*
        }

        impl Variable {
            /// The name for all signals.
            fn general(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("OTEL_EXPORTER_OTLP_", $name),)*
                }
            }

            fn own(self, signal: Signal) -> &'static str {
                match (self, signal) {
                    $(
                        (Self::$variant, Signal::Traces) => concat!("OTEL_EXPORTER_OTLP_TRACES_", $name),
                        (Self::$variant, Signal::Metrics) => concat!("OTEL_EXPORTER_OTLP_METRICS_", $name),
                        (Self::$variant, Signal::Logs) => concat!("OTEL_EXPORTER_OTLP_LOGS_", $name),
                    )*
                }
            }
        }
    };
}

variables! {
    Protocol "PROTOCOL"
    Insecure "INSECURE"
    Timeout "TIMEOUT"
    Certificate "CERTIFICATE"
    ClientCertificate "CLIENT_CERTIFICATE"
    ClientKey "CLIENT_KEY"
}

impl Variable {
    /// The variable that has a say for the signal, and what it says.
    pub(super) fn get(self, env: &Env, signal: Signal) -> Option<(&'static str, &str)> {
        [self.own(signal), self.general()].into_iter().find_map(|name| env.get(name).map(|value| (name, value)))
    }
}
