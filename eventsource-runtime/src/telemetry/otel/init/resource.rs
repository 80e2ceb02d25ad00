//! What all telemetry says of the service.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use uuid::Uuid;

use super::TelemetryBuilder;
use super::env::{Env, decode};

impl TelemetryBuilder {
    /// Says of the service what only its code knows, with every span, metric and log record: an attribute of the
    /// resource, such as `service.version`. What the environment says in `OTEL_RESOURCE_ATTRIBUTES` prevails. The
    /// service's name is that of the set-up.
    ///
    /// ```
    /// # fn main() -> Result<(), eventsource_runtime::telemetry::TelemetryError> {
    /// use eventsource_runtime::telemetry::Telemetry;
    ///
    /// let telemetry = Telemetry::from_env("orders")
    ///     .resource_attribute("service.version", env!("CARGO_PKG_VERSION"))
    ///     .build()?;
    /// # telemetry.shutdown_blocking()
    /// # }
    /// ```
    pub fn resource_attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.resource.push((key.into(), value.into()));
        self
    }
}

impl Env {
    /// The resource that all telemetry of this set-up carries; of two values of one attribute the environment's, or else
    /// the last.
    pub(super) fn resource(&self, service_name: &str, code: Vec<(String, String)>) -> Resource {
        // Without it, whoever reads their metrics sees the processes of a service as one.
        let instance = KeyValue::new("service.instance.id", Uuid::now_v7().to_string());
        let attributes =
            code.into_iter().chain(self.resource_attributes()).map(|(key, value)| KeyValue::new(key, value));
        Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attribute(instance)
            .with_attributes(attributes)
            .with_service_name(self.service_name(service_name))
            .build()
    }

    /// The name of the service: the environment's, or else the code's.
    pub(super) fn service_name(&self, code: &str) -> String {
        let attribute = || self.resource_attributes().into_iter().find(|(key, _)| key == "service.name");
        self.get("OTEL_SERVICE_NAME")
            .map(str::to_owned)
            .or_else(|| attribute().map(|(_, value)| value))
            .unwrap_or_else(|| code.to_owned())
    }

    /// The pairs of `OTEL_RESOURCE_ATTRIBUTES`, decoded. One bad pair voids all of them, as the specification demands.
    pub(super) fn resource_attributes(&self) -> Vec<(String, String)> {
        let variable = "OTEL_RESOURCE_ATTRIBUTES";
        let Some(text) = self.get(variable) else { return Vec::new() };
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            let (key, value) = (decode(key.trim())?, decode(value.trim())?);
            (!key.is_empty()).then_some((key, value))
        };
        let pairs: Option<Vec<_>> = text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect();
        pairs.unwrap_or_else(|| {
            self.ignored.add(variable, text, "write `key=value,key=value`, with `,` and `=` as `%2C` and `%3D`");
            Vec::new()
        })
    }
}
