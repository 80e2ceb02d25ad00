//! What metrics measured, point by point.

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, HistogramDataPoint, Metric, MetricData};

/// A point of a metric, as an exporter gets it.
#[derive(Clone, Debug)]
pub struct Measured<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// What it is measured with: `counter`, `updowncounter`, `gauge` or `histogram`.
    pub instrument: &'static str,
    /// In what it is measured.
    pub unit: &'a str,
    /// The bounds of a histogram's buckets.
    pub buckets: Vec<f64>,
    /// The attributes of the point.
    pub attributes: Vec<KeyValue>,
}

impl<'a> Measured<'a> {
    /// Each point of a metric.
    ///
    /// # Panics
    /// If it is of a kind that nothing of ours makes.
    #[must_use]
    pub fn of(metric: &'a Metric) -> Vec<Self> {
        match metric.data() {
            AggregatedMetrics::F64(data) => points(metric, data),
            AggregatedMetrics::U64(data) => points(metric, data),
            AggregatedMetrics::I64(data) => points(metric, data),
        }
    }
}

fn points<'a, T>(metric: &'a Metric, data: &MetricData<T>) -> Vec<Measured<'a>> {
    let point = |instrument, buckets: &[f64], attributes: Vec<KeyValue>| {
        let (name, unit, buckets) = (metric.name(), metric.unit(), buckets.to_vec());
        Measured { name, instrument, unit, buckets, attributes }
    };
    let plain = |instrument, attributes| point(instrument, &[], attributes);
    match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().map(|each| plain("gauge", each.attributes().cloned().collect())).collect()
        }
        MetricData::Sum(sum) => {
            let instrument = if sum.is_monotonic() { "counter" } else { "updowncounter" };
            sum.data_points().map(|each| plain(instrument, each.attributes().cloned().collect())).collect()
        }
        MetricData::Histogram(histogram) => {
            let bounds = |each: &HistogramDataPoint<T>| each.bounds().collect::<Vec<_>>();
            let points = histogram.data_points();
            points.map(|each| point("histogram", &bounds(each), each.attributes().cloned().collect())).collect()
        }
        MetricData::ExponentialHistogram(_) => panic!("a kind of metric that nothing makes"),
    }
}
