//! The propagator as OpenTelemetry's globals hold it: they cannot say whose it is, so its lifetime does.

use std::sync::{Arc, Weak};

use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::{Context, global};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use super::env::Propagator;

#[derive(Debug)]
struct Watched {
    propagators: TextMapCompositePropagator,
    _alive: Arc<()>,
}

/// Whether a propagator that was installed is still the process's.
#[derive(Debug, Default)]
pub(super) struct Installed(Weak<()>);

impl Installed {
    /// Installs the propagators for the process.
    pub(super) fn install(propagators: &[Propagator]) -> Self {
        let alive = Arc::new(());
        let installed = Self(Arc::downgrade(&alive));
        let boxed = |propagator: &Propagator| -> Box<dyn TextMapPropagator + Send + Sync> {
            match propagator {
                Propagator::TraceContext => Box::new(TraceContextPropagator::new()),
                Propagator::Baggage => Box::new(BaggagePropagator::new()),
            }
        };
        let propagators = TextMapCompositePropagator::new(propagators.iter().map(boxed).collect());
        global::set_text_map_propagator(Watched { propagators, _alive: alive });
        installed
    }

    /// Leaves the process without one, unless somebody has replaced it by now.
    pub(super) fn uninstall(&self) {
        if self.0.strong_count() > 0 {
            global::set_text_map_propagator(TextMapCompositePropagator::new(Vec::new()));
        }
    }
}

impl TextMapPropagator for Watched {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.propagators.inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        self.propagators.extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        self.propagators.fields()
    }
}
