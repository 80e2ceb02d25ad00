//! Pages beside the reference: how an application is built and operated, what it emits, what it may rely on.

// The pages link to files; the first definition of a link wins.
#[doc = "[telemetry]: self::telemetry\n[guarantees]: self::guarantees\n[operating]: self::operating\n"]
#[doc = include_str!("../docs/tutorial.md")]
pub mod tutorial {}

// The same for the picture, which is not part of the reference.
#[doc = "[view]: https://raw.githubusercontent.com/eventsource-rs/eventsource/main/eventsource-runtime/docs/view.png\n"]
#[doc = include_str!("../docs/telemetry.md")]
pub mod telemetry {}

#[doc = include_str!("../docs/guarantees.md")]
pub mod guarantees {}

#[doc = "[telemetry]: self::telemetry\n[guarantees]: self::guarantees\n"]
#[doc = include_str!("../docs/operating.md")]
pub mod operating {}

#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}
