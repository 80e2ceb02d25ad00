//! The sampler that the code or the environment names, and what is known of one without asking it.

use std::any::Any;
use std::sync::Arc;

use opentelemetry_sdk::trace::{Sampler, ShouldSample};

use super::TelemetryBuilder;
use super::contained::Contained;
use super::env::Env;
use crate::telemetry::otel::pipeline::{Root, Sampling};

const VARIABLE: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

impl TelemetryBuilder {
    /// Uses this sampler instead of the environment's. It is asked about every span, and sees the attributes that users
    /// named, unless it is one of OpenTelemetry's own, which do not read them; within a `ParentBased` that is told by its
    /// `Debug`. If it panics, the span is not sampled.
    pub fn sampler(mut self, sampler: impl ShouldSample + 'static) -> Self {
        let sampling = known(&sampler);
        self.sampler = Some((Box::new(Contained(Arc::new(sampler))), sampling));
        self
    }

    /// The code's sampler, or else the environment's.
    pub(super) fn choose_sampler(&mut self) -> Sampling {
        if let Some((own, known)) = self.sampler.take() {
            self.spans.sample(own);
            return known;
        }
        let (sampler, sampling) = of(&self.env);
        self.spans.sample(sampler);
        sampling
    }
}

/// The sampler of `OTEL_TRACES_SAMPLER`. An unknown name or a bad ratio is ignored with a warning, as the specification
/// demands: a typo must not cost the traces.
fn of(env: &Env) -> (Sampler, Sampling) {
    let root = |sampler: Sampler| Sampler::ParentBased(Box::new(sampler));
    let named = env.get(VARIABLE).unwrap_or("parentbased_always_on");
    match &*named.to_ascii_lowercase() {
        "always_on" => (Sampler::AlwaysOn, Sampling::AlwaysOn),
        "always_off" => (Sampler::AlwaysOff, Sampling::AlwaysOff),
        "traceidratio" => (Sampler::TraceIdRatioBased(share(env)), Sampling::Ratio),
        "parentbased_always_on" => (root(Sampler::AlwaysOn), Sampling::ParentBased(Root::On)),
        "parentbased_always_off" => (root(Sampler::AlwaysOff), Sampling::ParentBased(Root::Off)),
        "parentbased_traceidratio" => {
            (root(Sampler::TraceIdRatioBased(share(env))), Sampling::ParentBased(Root::Ratio))
        }
        _ => {
            env.ignored.add(VARIABLE, named, "`parentbased_always_on` is used");
            (root(Sampler::AlwaysOn), Sampling::ParentBased(Root::On))
        }
    }
}

/// What is known of a sampler that the code names.
pub(super) fn known(sampler: &dyn Any) -> Sampling {
    match sampler.downcast_ref() {
        Some(Sampler::AlwaysOn) => Sampling::AlwaysOn,
        Some(Sampler::AlwaysOff) => Sampling::AlwaysOff,
        Some(Sampler::TraceIdRatioBased(_)) => Sampling::Ratio,
        Some(Sampler::ParentBased(root)) => {
            Sampling::ParentBased(if is_built_in(&**root) { Root::Ratio } else { Root::Custom })
        }
        _ => Sampling::Custom,
    }
}

/// Whether it is one that reads no attributes. Nothing tells its type but what it shows of itself: another one that
/// shows the same would get none.
fn is_built_in(sampler: &dyn ShouldSample) -> bool {
    let shown = format!("{sampler:?}");
    matches!(&*shown, "AlwaysOn" | "AlwaysOff") || shown.starts_with("TraceIdRatioBased(")
}

fn share(env: &Env) -> f64 {
    let Some(text) = env.get(ARGUMENT) else { return 1.0 };
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => share,
        _ => {
            env.ignored.add(ARGUMENT, text, "write a share from 0.0 to 1.0; 1.0 is used");
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(name: &str, argument: &str) -> (String, Sampling) {
        let (sampler, sampling) = of(&Env::of(&[(VARIABLE, name), (ARGUMENT, argument)]));
        (format!("{sampler:?}"), sampling)
    }

    #[test]
    fn every_built_in_sampler_is_known_without_asking_it() {
        let cases = [
            ("always_on", "AlwaysOn", Sampling::AlwaysOn),
            ("always_off", "AlwaysOff", Sampling::AlwaysOff),
            ("traceidratio", "TraceIdRatioBased(0.25)", Sampling::Ratio),
            ("parentbased_always_on", "ParentBased(AlwaysOn)", Sampling::ParentBased(Root::On)),
            ("parentbased_always_off", "ParentBased(AlwaysOff)", Sampling::ParentBased(Root::Off)),
            ("parentbased_traceidratio", "ParentBased(TraceIdRatioBased(0.25))", Sampling::ParentBased(Root::Ratio)),
            ("Always_Off", "AlwaysOff", Sampling::AlwaysOff),
            ("", "ParentBased(AlwaysOn)", Sampling::ParentBased(Root::On)),
            ("jaeger_remote", "ParentBased(AlwaysOn)", Sampling::ParentBased(Root::On)),
        ];
        for (name, sampler, known) in cases {
            assert_eq!(sampling(name, "0.25"), (sampler.to_owned(), known), "{name}");
        }
    }

    /// A parent-based one is asked about roots, and sees attributes only if it may read them.
    #[test]
    fn a_built_in_sampler_is_known_in_code_as_well() {
        let root = |sampler: Sampler| Sampler::ParentBased(Box::new(sampler));
        let cases = [
            (Sampler::AlwaysOn, Sampling::AlwaysOn),
            (Sampler::AlwaysOff, Sampling::AlwaysOff),
            (Sampler::TraceIdRatioBased(0.25), Sampling::Ratio),
            (root(Sampler::AlwaysOn), Sampling::ParentBased(Root::Ratio)),
            (root(Sampler::AlwaysOff), Sampling::ParentBased(Root::Ratio)),
            (root(Sampler::TraceIdRatioBased(0.25)), Sampling::ParentBased(Root::Ratio)),
            (root(root(Sampler::AlwaysOff)), Sampling::ParentBased(Root::Custom)),
        ];
        for (sampler, sampling) in cases {
            assert_eq!(known(&sampler), sampling, "{sampler:?}");
        }
        assert_eq!(known(&"another"), Sampling::Custom);
    }

    #[test]
    fn a_share_that_is_none_samples_everything() {
        for share in ["", "1.5", "-1", "half", "NaN"] {
            assert_eq!(sampling("traceidratio", share).0, "TraceIdRatioBased(1.0)", "{share}");
        }
    }
}
