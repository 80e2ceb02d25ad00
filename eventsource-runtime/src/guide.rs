//! Pages beside the reference: how an application is built, modeled and operated, what it emits, what it may rely on,
//! and why this crate is built as it is.

// The pages link to files; the first definition of a link wins.
#[doc = "[telemetry]: self::telemetry\n[guarantees]: self::guarantees\n[operating]: self::operating\n"]
#[doc = include_str!("../docs/tutorial.md")]
pub mod tutorial {}

#[doc = "[guarantees]: self::guarantees\n[operating]: self::operating\n\
    [decision]: self::decisions::process_manager\n[context]: crate::dispatch::Context\n\
    [managers]: macro@crate::process_manager\n[rejected]: crate::dispatch::Rejected\n\
    [record_after]: crate::dispatch::Reaction::record_after\n[committed]: crate::dispatch::Committed\n\
    [wait_for]: crate::projection::Projections::wait_for\n[progress]: crate::projection::Progress::of\n\
    [clock]: crate::clock::Clock\n[services]: crate::Repository::with_services\n\
    [metadata]: crate::Metadata\n[translate]: crate::bus::Relay::translate\n[snapshots]: crate::snapshot\n\
    [sensitive]: crate::Sensitive\n[filter]: crate::store::Filter\n\
    [dispatch_json]: crate::dispatch::CommandBus::dispatch_json\n[commands]: crate::dispatch::CommandBus\n\
    [subscribe_to]: crate::store::Traced::subscribe_to\n"]
#[doc = include_str!("../docs/modeling.md")]
pub mod modeling {}

#[doc = include_str!("../docs/telemetry.md")]
pub mod telemetry {}

#[doc = "[relay]: self::decisions::relay_is_a_projection\n[process-manager]: self::decisions::process_manager\n"]
#[doc = include_str!("../docs/guarantees.md")]
pub mod guarantees {}

#[doc = "[telemetry]: self::telemetry\n[guarantees]: self::guarantees\n"]
#[doc = include_str!("../docs/operating.md")]
pub mod operating {}

#[doc = "[decisions]: self::decisions\n"]
#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

/// The list of the decisions, whose links lead to files, and a page for each.
macro_rules! decisions {
    ($($page:ident = $file:literal,)*) => {
        $(#[doc = concat!("[", $file, "]: self::decisions::", stringify!($page), "\n")])*
        #[doc = include_str!("../docs/decisions/README.md")]
        pub mod decisions {
            $(
                #[doc = include_str!(concat!("../docs/decisions/", $file, ".md"))]
                pub mod $page {}
            )*
        }
    };
}

decisions! {
    direct_opentelemetry = "direct-opentelemetry",
    watched_provider = "watched-provider",
    muted_below = "muted-below",
    below_unsampled = "below-unsampled",
    fold = "fold",
    after = "after",
    turns = "turns",
    snapshots = "snapshots",
    writer_thread = "writer-thread",
    postgres_append = "postgres-append",
    traced_store = "traced-store",
    exporting_thread = "exporting-thread",
    logs_beside = "logs-beside",
    silent_reads = "silent-reads",
    relay_is_a_projection = "relay-is-a-projection",
    one_at_a_time = "one-at-a-time",
    kafka_gapless = "kafka-gapless",
    error_type = "error-type",
    leases = "leases",
    policies = "policies",
    aside = "aside",
    enqueue = "enqueue",
    process_manager = "process-manager",
    nobody_gets = "nobody-gets",
    handler_errors = "handler-errors",
    handler_attributes = "handler-attributes",
}
