//! stub
/// stub
#[derive(Debug)]
pub struct Telemetry;
/// stub
#[derive(Debug)]
pub struct TelemetryBuilder;
/// stub
#[derive(Debug)]
pub struct TelemetryError;
