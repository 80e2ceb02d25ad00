//! What metrics measured, point by point.

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};

/// A point of a metric, as an exporter gets it.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The metric's name.
    pub name: String,
    /// What it is measured with: `counter`, `updowncounter`, `gauge` or `histogram`.
    pub instrument: &'static str,
    /// In what it is measured.
    pub unit: String,
    /// The bounds of a histogram's buckets.
    pub buckets: Vec<f64>,
    /// The attributes of the point.
    pub attributes: Vec<KeyValue>,
    /// At what a counter or a gauge of whole numbers stands, or how many values a histogram has.
    pub count: u64,
}

impl Measured {
    /// Each point of all that an exporter got.
    ///
    /// # Panics
    /// As [`Measured::of`].
    #[must_use]
    pub fn all(exporter: &InMemoryMetricExporter) -> Vec<Self> {
        Self::in_exports(&exporter.get_finished_metrics().expect("the exporter works"))
    }

    /// Each point of what it got last.
    ///
    /// # Panics
    /// As [`Measured::of`].
    #[must_use]
    pub fn last(exporter: &InMemoryMetricExporter) -> Vec<Self> {
        let exports = exporter.get_finished_metrics().expect("the exporter works");
        Self::in_exports(&exports[exports.len().saturating_sub(1)..])
    }

    fn in_exports(exports: &[ResourceMetrics]) -> Vec<Self> {
        let all = exports.iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics);
        all.flat_map(Self::of).collect()
    }

    /// What the points of a metric come to that an exporter got last.
    ///
    /// # Panics
    /// As [`Measured::of`].
    #[must_use]
    pub fn total(exporter: &InMemoryMetricExporter, name: &str) -> u64 {
        Self::last(exporter).iter().filter(|point| point.name == name).map(|point| point.count).sum()
    }

    /// Each point of a metric.
    ///
    /// # Panics
    /// If it is of a kind that nothing of ours makes.
    #[must_use]
    pub fn of(metric: &Metric) -> Vec<Self> {
        match metric.data() {
            AggregatedMetrics::F64(data) => points(metric, data, |_| 0),
            AggregatedMetrics::U64(data) => points(metric, data, |count| count),
            AggregatedMetrics::I64(data) => points(metric, data, |count| count.try_into().unwrap_or_default()),
        }
    }

    /// The value of an attribute; empty if it has none.
    #[must_use]
    pub fn said(&self, key: &str) -> String {
        let mut attributes = self.attributes.iter();
        attributes.find(|known| known.key.as_str() == key).map(|known| known.value.to_string()).unwrap_or_default()
    }
}

fn points<T: Copy>(metric: &Metric, data: &MetricData<T>, whole: fn(T) -> u64) -> Vec<Measured> {
    let point = |instrument, buckets: Vec<f64>, attributes: Vec<KeyValue>, count| {
        let (name, unit) = (metric.name().to_owned(), metric.unit().to_owned());
        Measured { name, instrument, unit, buckets, attributes, count }
    };
    let plain = |instrument, attributes, value| point(instrument, Vec::new(), attributes, whole(value));
    match data {
        MetricData::Gauge(gauge) => {
            let points = gauge.data_points();
            points.map(|each| plain("gauge", each.attributes().cloned().collect(), each.value())).collect()
        }
        MetricData::Sum(sum) => {
            let instrument = if sum.is_monotonic() { "counter" } else { "updowncounter" };
            let points = sum.data_points();
            points.map(|each| plain(instrument, each.attributes().cloned().collect(), each.value())).collect()
        }
        MetricData::Histogram(histogram) => {
            let of = |each: &HistogramDataPoint<T>| {
                point("histogram", each.bounds().collect(), each.attributes().cloned().collect(), each.count())
            };
            histogram.data_points().map(of).collect()
        }
        MetricData::ExponentialHistogram(_) => panic!("a kind of metric that nothing makes"),
    }
}
