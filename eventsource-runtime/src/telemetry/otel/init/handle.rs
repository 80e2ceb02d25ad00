//! A running set-up: where it applies, and how it ends.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::{mem, thread};

use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::{Context, ContextGuard, global};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::env::Propagator;
use super::flush::{self, Outlets};
use super::logs::Loggers;
use super::propagator;
use crate::telemetry::TelemetryError;
use crate::telemetry::otel::in_context::{Attach, InContext};
use crate::telemetry::otel::pipeline::{self, Pipeline, WatchedMeters};
use crate::telemetry::otel::toggle;

/// Telemetry that was set up. Call [`shutdown`](Self::shutdown) at the end of the program: it exports what is left.
///
/// If dropped without it, as by a `?` in `main`, an installed set-up exports what has ended so far, for which the
/// thread waits as for a [flush](Self::force_flush_blocking), and stays installed. One made with
/// [`build`](super::TelemetryBuilder::build) is shut down in the background, without waiting.
#[must_use = "call `shutdown` at the end, or the last spans are lost"]
pub struct Telemetry {
    shared: Arc<Shared>,
}

/// What creates spans, metrics and, if they are exported, log records, and where those go.
pub(super) struct Providers {
    pub(super) tracers: SdkTracerProvider,
    pub(super) meters: SdkMeterProvider,
    pub(super) loggers: Option<Loggers>,
    /// Whether our log events are printed.
    pub(super) prints_logs: bool,
    pub(super) outlets: Outlets,
}

struct Shared {
    pipeline: Arc<Pipeline>,
    providers: Providers,
    installed: bool,
    /// The meters as OpenTelemetry's globals hold them; dropping it means that those have others.
    global_meters: OnceLock<Weak<dyn MeterProvider + Send + Sync>>,
    propagators: OnceLock<propagator::Installed>,
    ended: AtomicBool,
}

impl Telemetry {
    pub(super) fn new(pipeline: Pipeline, providers: Providers, installed: bool) -> Self {
        let pipeline = Arc::new(pipeline);
        let ended = AtomicBool::new(false);
        let (global_meters, propagators) = (OnceLock::new(), OnceLock::new());
        providers.outlets.losses.belong_to(&pipeline, providers.prints_logs);
        let shared = Shared { pipeline, providers, installed, global_meters, propagators, ended };
        let telemetry = Self { shared: Arc::new(shared) };
        if installed {
            telemetry.install();
        }
        telemetry
    }

    fn install(&self) {
        let shared = &self.shared;
        pipeline::install(Arc::clone(&shared.pipeline), shared.providers.tracers.clone());
        // Without a reader they would take the measurements of the application away from whoever reads those.
        if shared.pipeline.has_global_meters.load(Ordering::Relaxed) {
            global::set_meter_provider(WatchedMeters::new(shared.providers.meters.clone(), &shared.pipeline));
            shared.global_meters.get_or_init(|| Arc::downgrade(&global::meter_provider()));
        }
    }

    pub(super) fn install_propagators(&self, propagators: &[Propagator]) {
        self.shared.propagators.get_or_init(|| propagator::Installed::install(propagators));
    }

    /// The provider behind it: for third-party instrumentation that takes one instead of using OpenTelemetry's globals.
    #[must_use]
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.shared.providers.tracers
    }

    pub(super) fn prints_logs(&self) -> bool {
        self.shared.providers.prints_logs
    }

    /// What exports logs, if anything does.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code))]
    pub(super) fn loggers(&self) -> Option<&Loggers> {
        self.shared.providers.loggers.as_ref()
    }

    /// Sends this thread's telemetry to this set-up, until the guard is dropped. In async code use [`run`](Self::run):
    /// a guard must not live across an await.
    pub fn attach(&self) -> TelemetryGuard {
        TelemetryGuard { _guard: toggle::has_context().then(|| self.context().attach()) }
    }

    /// Sends a future's telemetry to this set-up. It applies in each poll, and while the future is dropped. The spans of
    /// the future are below the one that is current when this is called, even if the future is spawned.
    pub fn run<F: Future>(&self, body: F) -> impl Future<Output = F::Output> + use<F> {
        InContext::new(self.context(), body)
    }

    fn context(&self) -> Context {
        let current = if toggle::has_context() { Context::current() } else { Context::new() };
        pipeline::scope(&current, Arc::clone(&self.shared.pipeline))
    }

    /// Exports what has ended so far. It waits no longer than
    /// [`shutdown_timeout`](super::TelemetryBuilder::shutdown_timeout), blocks no runtime thread, and needs no runtime.
    /// If called again while an exporter hangs, it waits for the same flush.
    ///
    /// # Errors
    /// An exporter failed, or took too long; or this process was forked since the set-up, and has no threads to export.
    pub async fn force_flush(&self) -> Result<(), TelemetryError> {
        let shared = Arc::clone(&self.shared);
        flush::waiting(shared.providers.outlets.timeout, move || shared.providers.outlets.flush()).await
    }

    /// Like [`force_flush`](Self::force_flush), for code that cannot await: it blocks the calling thread.
    ///
    /// # Errors
    /// As [`force_flush`](Self::force_flush).
    pub fn force_flush_blocking(&self) -> Result<(), TelemetryError> {
        self.shared.providers.outlets.flush()
    }

    /// Exports what is left, then shuts the exporters down. It waits no longer than
    /// [`shutdown_timeout`](super::TelemetryBuilder::shutdown_timeout), blocks no runtime thread, and needs no runtime.
    /// If dropped early, it continues in the background. A second call does nothing, unless the first got no thread.
    ///
    /// # Errors
    /// An exporter failed or took too long: what was left may be lost. Or as for a [flush](Self::force_flush).
    pub async fn shutdown(&self) -> Result<(), TelemetryError> {
        if self.shared.begins_to_end() {
            let shared = Arc::clone(&self.shared);
            let ended = flush::waiting(shared.providers.outlets.timeout, move || shared.end()).await;
            return self.shared.unless_without_thread(ended);
        }
        Ok(())
    }

    /// Like [`shutdown`](Self::shutdown), for code that cannot await: it blocks the calling thread.
    ///
    /// # Errors
    /// As [`shutdown`](Self::shutdown).
    pub fn shutdown_blocking(&self) -> Result<(), TelemetryError> {
        if self.shared.begins_to_end() { self.shared.unless_without_thread(self.shared.end()) } else { Ok(()) }
    }
}

impl Shared {
    /// Whether nobody else has ended it, or is about to.
    fn begins_to_end(&self) -> bool {
        !self.ended.swap(true, Ordering::AcqRel)
    }

    fn end(&self) -> Result<(), TelemetryError> {
        let ended = self.providers.outlets.shut_down();
        self.uninstall();
        ended
    }

    /// For want of a thread something is left to do: it can be tried again.
    fn unless_without_thread(&self, ended: Result<(), TelemetryError>) -> Result<(), TelemetryError> {
        if matches!(ended, Err(TelemetryError::Thread { .. })) {
            self.ended.store(false, Ordering::Release);
        }
        ended
    }

    /// Gives OpenTelemetry's globals back, unless somebody has replaced them by now.
    fn uninstall(&self) {
        if self.installed && pipeline::uninstall(&self.pipeline) && self.pipeline.has_global_spans {
            global::set_tracer_provider(NoopTracerProvider::new());
        }
        if self.global_meters.get().is_some_and(|ours| Weak::ptr_eq(ours, &Arc::downgrade(&global::meter_provider()))) {
            // One without readers: OpenTelemetry's own no-op provider is not public.
            global::set_meter_provider(SdkMeterProvider::default());
        }
        if let Some(propagators) = self.propagators.get() {
            propagators.uninstall();
        }
    }
}

/// An SDK's provider that nobody has shut down blocks in its destructor, which is therefore left to another thread.
impl Drop for Telemetry {
    fn drop(&mut self) {
        if self.shared.providers.outlets.are_of_parent() {
            // Its destructors would wait for threads that are not there.
            mem::forget(Arc::clone(&self.shared));
            return;
        }
        if self.shared.installed {
            if !self.shared.ended.load(Ordering::Acquire) {
                // Nobody sees the result, but what is lost is logged.
                let _ = self.force_flush_blocking();
                self.shared.providers.outlets.tell_losses();
            }
            return;
        }
        if self.shared.begins_to_end() {
            let shared = Arc::clone(&self.shared);
            // If no thread is to be had, the destructor runs as it is.
            let _ = thread::Builder::new().spawn(move || shared.providers.outlets.shut_down());
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("installed", &self.shared.installed)
            .field("pipeline", &self.shared.pipeline)
            .finish_non_exhaustive()
    }
}

/// Keeps a thread's telemetry with one set-up until it is dropped.
#[must_use = "the set-up applies until the guard is dropped"]
#[derive(Debug)]
pub struct TelemetryGuard {
    _guard: Option<ContextGuard>,
}

impl Attach for Context {
    type Entered = Option<ContextGuard>;

    fn enter(&self) -> Self::Entered {
        toggle::has_context().then(|| self.clone().attach())
    }
}
