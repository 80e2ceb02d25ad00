//! The names of the variables of OTLP: one for all signals, and one for each.

/// Makes an enum of what pairs of variables are about.
macro_rules! variables {
    ($($variant:ident $name:literal)*) => {
        /// What a pair of variables is about.
        #[derive(Clone, Copy, Debug)]
        pub(super) enum Variable {
            $($variant,)*
        }

        impl Variable {
            fn names(self, signal: Signal) -> [&'static str; 2] {
                match self {
                    $(Self::$variant => {
                        let own = match signal {
                            Signal::Traces => concat!("OTEL_EXPORTER_OTLP_TRACES_", $name),
                            Signal::Metrics => concat!("OTEL_EXPORTER_OTLP_METRICS_", $name),
                            Signal::Logs => concat!("OTEL_EXPORTER_OTLP_LOGS_", $name),
                        };
                        [own, concat!("OTEL_EXPORTER_OTLP_", $name)]
                    })*
                }
            }

            /// The variable that applies to the signal, and its value.
            pub(super) fn get(self, env: &Env, signal: Signal) -> Option<(&'static str, &str)> {
                self.names(signal).into_iter().find_map(|name| env.get(name).map(|value| (name, value)))
            }
        }
    };
}

pub(super) use variables;
