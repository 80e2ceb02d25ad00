//! The programs that are compiled: the same work, instrumented in one way or another.

mod functions;
mod messages;

pub(crate) use functions::{FUNCTIONS, functions};
pub(crate) use messages::{AGGREGATES, HANDLERS, aggregates, handlers};

/// How a program is instrumented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Not at all; of messages, the structs alone.
    Bare,
    /// With the interface that the macros serve, written out.
    ByHand,
    Ours,
    /// Messages by hand, their handlers with the attribute; so with the next.
    Tracing,
    Fastrace,
}

impl How {
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Bare => "without",
            Self::ByHand => "by hand",
            Self::Ours => "ours",
            Self::Tracing => "tracing::instrument",
            Self::Fastrace => "fastrace",
        }
    }

    /// What the program depends on.
    pub(crate) const fn dependencies(self) -> &'static [&'static str] {
        match self {
            Self::Bare => &["serde"],
            Self::ByHand => &["opentelemetry", "eventsource-runtime", "serde"],
            Self::Ours => &["eventsource-runtime", "serde"],
            Self::Tracing => &["tracing", "eventsource-runtime", "serde"],
            Self::Fastrace => &["fastrace", "eventsource-runtime", "serde"],
        }
    }
}
