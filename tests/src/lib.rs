//! What the tests share: a domain, trees of spans to compare, and the registry of all that is emitted.

pub mod alone;
pub mod clocks;
pub mod compiler;
pub mod dice;
pub mod dropping;
pub mod everything;
#[cfg(feature = "otel")]
pub mod exporters;
pub mod faulty;
pub mod faulty_snapshots;
pub mod hooked;
#[cfg(feature = "otel")]
pub mod logged;
pub mod mortal;
pub mod network;
#[expect(dead_code, reason = "a program, which is a module here for its domain")]
#[path = "../contract/orders.rs"]
pub mod orders;
pub mod own_bus;
pub mod own_store;
pub mod placing;
#[cfg(feature = "otel")]
#[expect(dead_code, reason = "a program, which is a module here for its parts")]
#[path = "../../examples/postgres_kafka.rs"]
pub mod postgres_kafka;
pub mod proxy;
#[cfg(feature = "otel")]
#[expect(dead_code, reason = "a program, which is a module here for its parts")]
#[path = "../../examples/rabbitmq.rs"]
pub mod rabbitmq;
pub mod rabbitmq_server;
#[cfg(feature = "otel")]
pub mod recorder;
pub mod registry;
pub mod scratch;
pub mod services;
#[expect(dead_code, reason = "a program, which is a module here for its domain")]
#[path = "../../examples/shipping.rs"]
pub mod shipping;
#[cfg(feature = "otel")]
pub mod trees;
