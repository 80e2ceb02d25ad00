//! What is known of a span at compile time.

/// How a span relates to its neighbours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Within the process.
    #[default]
    Internal,
    /// A call to something remote.
    Client,
    /// The handling of a remote call.
    Server,
    /// Something sent, to be processed later.
    Producer,
    /// The processing of something sent.
    Consumer,
}

/// The value of an attribute that is known at compile time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Literal {
    /// A text.
    Text(&'static str),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A flag.
    Bool(bool),
}
