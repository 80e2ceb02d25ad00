//! An attribute that a query names, and its handler too.

use std::convert::Infallible;

use eventsource_runtime::prelude::*;
use eventsource_tests::recorder::Recorder;
use opentelemetry_sdk::trace::Sampler;
use serde::Deserialize;

#[derive(Query, Deserialize)]
#[query(output = usize)]
struct Measure {
    #[query(attribute)]
    shop: String,
    #[query(attribute)]
    unit: String,
}

struct Scales;

#[query_handler]
impl Scales {
    #[traced(attributes("shop" = query.shop.to_uppercase(), "length" = query.shop.len()))]
    fn measure(&self, query: Measure) -> Result<usize, Infallible> {
        Ok(query.shop.len() + query.unit.len())
    }
}

/// The span had both values under one key, which OTLP forbids.
#[tokio::test]
async fn it_has_the_handlers_value_alone() {
    // The second sampler is asked before any of them is evaluated.
    for sampler in [Sampler::AlwaysOn, Sampler::TraceIdRatioBased(1.0)] {
        let recorder = Recorder::with(|builder| builder.sampler(sampler));
        let bus = QueryBus::builder().handler(Scales).build();
        let query = Measure { shop: "north".into(), unit: "kg".into() };
        assert_eq!(recorder.run(bus.execute(query)).await.unwrap(), 7);
        let expected = ["cqrs.query.type=Measure", "cqrs.side=read", "length=5", "shop=NORTH", "unit=kg"];
        assert_eq!(recorder.trees().render(), format!("query.Measure\n  . {}\n", expected.join("\n  . ")));
    }
}
