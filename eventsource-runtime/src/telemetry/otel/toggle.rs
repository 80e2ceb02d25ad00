//! The process-wide switch: one byte, read with one relaxed load wherever a span might start. Every traced function has
//! a copy of it.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, Ordering};

use opentelemetry::Context;

use crate::sync::Mutex;

/// Off, by `set_enabled` or by `OTEL_SDK_DISABLED`. Zero, so that one comparison with memory suffices.
pub(super) const OFF: u8 = 0;
const ON: u8 = 1;
/// Nobody has asked yet: the first span reads `OTEL_SDK_DISABLED`.
pub(super) const UNREAD: u8 = 2;

static SWITCH: AtomicU8 = AtomicU8::new(UNREAD);

/// The copies of the switch in the traced functions that have run. Held while the switch changes, so that none of them
/// misses it.
static COPIES: Mutex<Vec<&'static AtomicU8>> = Mutex::new(Vec::new());

/// `OTEL_SDK_DISABLED`, which takes precedence over the switch; read once.
static DISABLED: LazyLock<bool> = LazyLock::new(disabled_by_environment);

thread_local! {
    /// What is known of the current thread: how many switched-off components surround the code, and the flags below. It
    /// needs no destructor and no set-up, so that one load suffices.
    static STATE: Cell<u32> = const { Cell::new(UNASKED) };

    static THREAD: Thread = Thread::new();
}

/// It is not known yet whether OpenTelemetry's current context can be read.
const UNASKED: u32 = 1 << 31;
/// It cannot: the thread is at its end.
const ENDED: u32 = 1 << 30;

/// Knows when the thread ends.
struct Thread {
    /// Whether OpenTelemetry's current context can be read.
    has_context: bool,
}

impl Thread {
    /// OpenTelemetry's thread-local is touched first: so it is destroyed after ours, and exists while ours does. If it
    /// was destroyed already, in the destructor of another thread-local, reading it panics.
    fn new() -> Self {
        Self { has_context: catch_unwind(|| Context::map_current(|_| ())).is_ok() }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        change(|state| state | ENDED);
    }
}

#[inline]
fn state() -> u32 {
    STATE.try_with(Cell::get).unwrap_or(ENDED)
}

#[inline]
fn change(to: impl FnOnce(u32) -> u32) {
    let _ = STATE.try_with(|state| state.set(to(state.get())));
}

/// The state of a thread on first use.
#[cold]
#[inline(never)]
fn asked() -> u32 {
    let has_context = THREAD.try_with(|thread| thread.has_context).unwrap_or(false);
    change(|state| if has_context { state & !UNASKED } else { state & !UNASKED | ENDED });
    state()
}

/// Whether OpenTelemetry's current context can be read: no longer in the destructors of thread-locals, where that would
/// end the process.
#[inline]
pub(super) fn has_context() -> bool {
    let known = state();
    let known = if known & UNASKED == 0 { known } else { asked() };
    known & ENDED == 0
}

/// Switches all spans of the process on or off, at any time. `OTEL_SDK_DISABLED=true` takes precedence.
///
/// Spans that have started end as usual.
pub fn set_enabled(enabled: bool) {
    let state = if enabled && !*DISABLED { ON } else { OFF };
    let copies = COPIES.lock();
    SWITCH.store(state, Ordering::Relaxed);
    for copy in copies.iter() {
        copy.store(state, Ordering::Relaxed);
    }
}

/// Lets a copy follow the switch from now on, and returns whether spans are on.
#[cold]
pub(super) fn copied_to(copy: &'static AtomicU8) -> bool {
    let mut copies = COPIES.lock();
    if copy.load(Ordering::Relaxed) == UNREAD {
        let state = match SWITCH.load(Ordering::Relaxed) {
            UNREAD if first_read() => ON,
            UNREAD => OFF,
            known => known,
        };
        copy.store(state, Ordering::Relaxed);
        copies.push(copy);
    }
    copy.load(Ordering::Relaxed) == ON
}

/// Whether a span that starts here may be made.
#[inline]
pub(crate) fn is_on() -> bool {
    match SWITCH.load(Ordering::Relaxed) {
        OFF => return false,
        UNREAD if !first_read() => return false,
        _ => {}
    }
    !is_muted()
}

/// Whether a switched-off component surrounds the caller, or the thread is at its end.
#[inline]
pub(super) fn is_muted() -> bool {
    match state() {
        0 => false,
        known if known & UNASKED == 0 => true,
        _ => asked() != 0,
    }
}

/// A faster thread has read the same variable, or `set_enabled` was called.
#[cold]
fn first_read() -> bool {
    let read = if *DISABLED { OFF } else { ON };
    match SWITCH.compare_exchange(UNREAD, read, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => read == ON,
        Err(other) => other == ON,
    }
}

/// Whether the environment switches metrics off; the switch of the process is for spans only.
pub(super) fn metrics_are_off() -> bool {
    *DISABLED
}

/// Whether `OTEL_SDK_DISABLED` is `true`, in whatever case.
pub(super) fn disabled_by_environment() -> bool {
    std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.trim().eq_ignore_ascii_case("true"))
}

/// Keeps spans off on this thread until it is dropped.
#[derive(Debug)]
pub(in crate::telemetry) struct Mute(());

impl Mute {
    #[inline]
    pub(in crate::telemetry) fn new() -> Self {
        change(|state| state.wrapping_add(1));
        Self(())
    }
}

impl Drop for Mute {
    #[inline]
    fn drop(&mut self) {
        change(|state| state.wrapping_sub(1));
    }
}
