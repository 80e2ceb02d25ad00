//! The instruments of a meter provider that somebody else installed, until they install another.

use std::ptr;
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapOption;
use opentelemetry::global;
use opentelemetry::metrics::MeterProvider;

use super::metrics::Instruments;
use super::observed::MeterId;
use super::pipeline::SCOPE;

type Provider = dyn MeterProvider + Send + Sync;

static KNOWN: ArcSwapOption<Foreign> = ArcSwapOption::const_empty();

/// The first provider that tells nobody, as OpenTelemetry's own does until others install one: recognised without
/// looking at `KNOWN`. While this is kept, no other provider is at its address.
static NOBODY: OnceLock<Weak<Provider>> = OnceLock::new();

struct Foreign {
    /// Others decide when it ends: that may take its exporter's time.
    provider: Weak<Provider>,
    instruments: Instruments,
    /// Whether nobody can read them: OpenTelemetry's own no-op provider is told nothing.
    is_noop: bool,
}

impl Foreign {
    fn new(provider: &Arc<Provider>) -> Self {
        let meter = provider.meter_with_scope(SCOPE.clone());
        let instruments = Instruments::new(&meter).observing(&meter);
        // It has no state, and drops callbacks at once. So does one whose views drop all gauges, but that has a state.
        let is_noop = size_of_val(&**provider) == 0 && !instruments.meter_id.is_read();
        Self { provider: Arc::downgrade(provider), instruments, is_noop }
    }

    fn readable(&self) -> Option<&Instruments> {
        (!self.is_noop).then_some(&self.instruments)
    }
}

/// Passes on the instruments of OpenTelemetry's current global provider, if somebody can read them. Nothing is passed
/// on while the provider is kept: it may end here.
pub(super) fn measuring<T>(show: impl FnOnce(Option<&Instruments>) -> T) -> T {
    let provider = global::meter_provider();
    let is = |known: &Weak<Provider>| ptr::addr_eq(known.as_ptr(), Arc::as_ptr(&provider));
    if NOBODY.get().is_some_and(is) {
        drop(provider);
        return show(None);
    }
    if let Some(known) = &*KNOWN.load()
        && is(&known.provider)
    {
        drop(provider);
        return show(known.readable());
    }
    let made = Arc::new(Foreign::new(&provider));
    if made.is_noop {
        NOBODY.get_or_init(|| Weak::clone(&made.provider));
    }
    KNOWN.store(Some(Arc::clone(&made)));
    drop(provider);
    show(made.readable())
}

/// Whether these are the gauges of the last provider known.
pub(super) fn has(meter_id: &MeterId) -> bool {
    KNOWN.load().as_ref().is_some_and(|known| known.instruments.meter_id.is(meter_id))
}
