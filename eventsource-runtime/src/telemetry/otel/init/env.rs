//! The environment as the set-up reads it: a value, so that tests need not touch the process's.

use std::collections::HashMap;
use std::fmt;

use super::ignored::Ignored;

/// The variables that matter, as they were when the builder was made.
#[derive(Clone, Default)]
pub(super) struct Env {
    values: HashMap<String, String>,
    /// Those whose values mean nothing here.
    pub(super) ignored: Ignored,
}

/// The variables of OTLP that say the same of traces, of metrics, of logs, and of all of them.
pub(super) type Variables = [&'static str; 4];

/// Those that end like that.
macro_rules! variables {
    ($name:literal) => {
        [
            concat!("OTEL_EXPORTER_OTLP_TRACES_", $name),
            concat!("OTEL_EXPORTER_OTLP_METRICS_", $name),
            concat!("OTEL_EXPORTER_OTLP_LOGS_", $name),
            concat!("OTEL_EXPORTER_OTLP_", $name),
        ]
    };
}

#[cfg(feature = "otlp")]
pub(super) use variables;

pub(super) const ENDPOINT: Variables = variables!("ENDPOINT");

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// Where a signal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exporter {
    Otlp,
    Console,
}

/// How contexts travel in headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Propagator {
    TraceContext,
    Baggage,
}

impl Signal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    pub(super) fn exporter_variable(self) -> &'static str {
        match self {
            Self::Traces => "OTEL_TRACES_EXPORTER",
            Self::Metrics => "OTEL_METRICS_EXPORTER",
            Self::Logs => "OTEL_LOGS_EXPORTER",
        }
    }

    /// The signal's own of these variables, and the general one.
    pub(super) fn of(self, [traces, metrics, logs, general]: Variables) -> [&'static str; 2] {
        let own = match self {
            Self::Traces => traces,
            Self::Metrics => metrics,
            Self::Logs => logs,
        };
        [own, general]
    }
}

impl Env {
    pub(super) fn of_process() -> Self {
        let matters = |name: &str| name.starts_with("OTEL_") || matches!(name, "COLUMNS" | "NO_COLOR" | "TERM");
        let values = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .filter(|(name, _)| matters(name))
            .collect();
        Self { values, ignored: Ignored::default() }
    }

    #[cfg(test)]
    pub(super) fn of(values: &[(&str, &str)]) -> Self {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { values, ignored: Ignored::default() }
    }

    /// The value of a variable; empty means unset, as the specification demands.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    pub(super) fn is_disabled(&self) -> bool {
        let variable = "OTEL_SDK_DISABLED";
        self.get(variable).is_some_and(|value| self.is_true(variable, value))
    }

    /// The exporters requested by name; `None` if none were.
    pub(super) fn exporters(&self, signal: Signal) -> Option<Vec<Exporter>> {
        self.named(signal.exporter_variable(), "write `otlp`, `console` or `none`", |name| match name {
            "otlp" => Some(Exporter::Otlp),
            "console" => Some(Exporter::Console),
            _ => None,
        })
    }

    /// The meanings of the names in a list, in any case, each once; nothing for `none`. An unknown name is ignored with
    /// a warning: if the list has no other, the result is `None`, as without a list.
    fn named<T: PartialEq>(
        &self,
        variable: &str,
        hint: &'static str,
        meaning: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let (mut known, mut none) = (Vec::new(), false);
        for name in self.get(variable)?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let lower_case = name.to_ascii_lowercase();
            match meaning(&lower_case) {
                Some(meant) if known.contains(&meant) => {}
                Some(meant) => known.push(meant),
                None if lower_case == "none" => none = true,
                None => self.ignored.add(variable, name, hint),
            }
        }
        (none || !known.is_empty()).then_some(known)
    }

    /// Where a signal's OTLP goes, if that is set: the variable, and its value.
    pub(super) fn endpoint(&self, signal: Signal) -> Option<(&'static str, &str)> {
        self.own_or_general(signal, ENDPOINT)
    }

    /// That of these variables which applies to a signal, and its value.
    pub(super) fn own_or_general(&self, signal: Signal, variables: Variables) -> Option<(&'static str, &str)> {
        signal.of(variables).into_iter().find_map(|variable| self.get(variable).map(|value| (variable, value)))
    }

    /// How contexts travel. Baggage only if requested.
    pub(super) fn propagators(&self) -> Vec<Propagator> {
        let hint = "write `tracecontext`, `baggage` or `none`";
        let named = self.named("OTEL_PROPAGATORS", hint, |name| match name {
            "tracecontext" => Some(Propagator::TraceContext),
            "baggage" => Some(Propagator::Baggage),
            _ => None,
        });
        named.unwrap_or_else(|| vec![Propagator::TraceContext])
    }

    /// Whether a switch is on; one that is neither on nor off is ignored with a warning.
    pub(super) fn is_true(&self, variable: &str, value: &str) -> bool {
        let [on, off] = ["true", "false"].map(|word| value.eq_ignore_ascii_case(word));
        if !on && !off {
            self.ignored.add(variable, value, "write `true` or `false`");
        }
        on
    }
}

/// Undoes percent-encoding; `None` if it is malformed.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let value = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
            bytes.push(u8::try_from(value).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Names only: a header of OTLP may be a secret.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exporters_are_a_list_whose_unknown_names_are_passed_over() {
        let exporters = |names| Env::of(&[("OTEL_TRACES_EXPORTER", names)]).exporters(Signal::Traces);
        assert_eq!(exporters("otlp, console"), Some(vec![Exporter::Otlp, Exporter::Console]));
        assert_eq!(exporters("otlp,console,otlp"), Some(vec![Exporter::Otlp, Exporter::Console]));
        assert_eq!(exporters("none"), Some(vec![]));
        assert_eq!(exporters("none,zipkin"), Some(vec![]));
        assert_eq!([exporters("OTLP"), exporters("None")], [Some(vec![Exporter::Otlp]), Some(vec![])]);
        assert_eq!(exporters("zipkin,console"), Some(vec![Exporter::Console]));
        assert_eq!([exporters("zipkin"), exporters(",")], [None, None], "as if nothing were said");
        assert_eq!(Env::default().exporters(Signal::Traces), None);
    }

    #[test]
    fn the_environment_names_the_service_before_the_code() {
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=from%20attributes,team=a%2Cb");
        assert_eq!(Env::of(&[("OTEL_SERVICE_NAME", "orders"), attributes]).service_name("code"), "orders");
        assert_eq!(Env::of(&[attributes]).service_name("code"), "from attributes");
        assert_eq!(Env::default().service_name("code"), "code");
        assert_eq!(Env::of(&[attributes]).resource_attributes()[1], ("team".into(), "a,b".into()));
        assert_eq!(Env::of(&[("OTEL_RESOURCE_ATTRIBUTES", "a=1,b=%zz")]).resource_attributes(), []);
    }

    #[test]
    fn baggage_travels_only_where_it_is_asked_for() {
        let propagators = |names| Env::of(&[("OTEL_PROPAGATORS", names)]).propagators();
        assert_eq!(Env::default().propagators(), [Propagator::TraceContext]);
        assert_eq!(propagators("tracecontext,baggage"), [Propagator::TraceContext, Propagator::Baggage]);
        assert_eq!(propagators("none"), []);
        assert_eq!(propagators("b3,baggage"), [Propagator::Baggage]);
        assert_eq!(propagators("b3"), [Propagator::TraceContext], "as if nothing were said");
    }

    #[test]
    fn debug_shows_no_value() {
        let env = Env::of(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")]);
        assert_eq!(format!("{env:?}"), "{\"OTEL_EXPORTER_OTLP_HEADERS\"}");
    }
}
