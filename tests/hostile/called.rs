//! Methods, constants and traits of the names that expansions call.

/// Traits with methods of every type, of the names that expansions call.
mod methods {
    use eventsource_runtime::prelude::*;
    trait Everything {
        fn into_step(self) -> u8
        where
            Self: Sized,
        {
            0
        }
        fn into_reaction(&self) -> u8 {
            0
        }
        fn decode(self) -> u8
        where
            Self: Sized,
        {
            0
        }
        fn is(self) -> u8
        where
            Self: Sized,
        {
            0
        }
        fn names(self) -> u8
        where
            Self: Sized,
        {
            0
        }
        fn handle(self) -> u8
        where
            Self: Sized,
        {
            0
        }
        fn count(&self) -> u8 {
            0
        }
        fn json(&self) -> u8 {
            0
        }
        fn any(&self) -> u8 {
            0
        }
        fn shown(&self) -> u8 {
            0
        }
        fn named() -> u8 {
            0
        }
        fn to_string(&self) -> u8 {
            0
        }
        fn aggregate_id(self) -> u8
        where
            Self: Sized,
        {
            0
        }
        fn answer(&self) -> u8 {
            0
        }
        fn decide(&self) -> u8 {
            0
        }
        fn boxed(&self) -> u8 {
            0
        }
        fn include(&self) -> u8 {
            0
        }
        fn attributes(&self) -> u8 {
            0
        }
        fn apply(&self) -> u8 {
            0
        }
        fn id(&self) -> u8 {
            0
        }
    }
    impl<T: ?Sized> Everything for T {}

    #[derive(Event, serde::Serialize, serde::Deserialize)]
    struct Done {
        #[event(attribute)]
        by: u8,
        #[event(sensitive)]
        of: u8,
    }
    #[derive(Aggregate, Default, serde::Serialize, serde::Deserialize)]
    #[aggregate(id = String, events(Done), snapshot(every = 3))]
    struct Job;
    impl Apply<Done> for Job {
        fn apply(&mut self, _: Done) {}
    }
    #[derive(Command, Clone, serde::Serialize, serde::Deserialize)]
    #[command(aggregate = Job)]
    struct Do(#[command(id)] String);
    #[command_handler]
    impl Job {
        #[traced(attributes("a" = 1))]
        fn act(&self, _: Do) -> Result<Done, std::convert::Infallible> {
            Ok(Done { by: 1, of: 1 })
        }
    }
    #[derive(Query, serde::Deserialize)]
    #[query(output = Vec<u8>)]
    struct Ask;
    struct Rows;
    #[query_handler]
    impl Rows {
        fn ask(&self, _: Ask) -> Result<Vec<u8>, std::fmt::Error> {
            Ok(vec![])
        }
    }
    #[projection]
    impl Rows {
        async fn done(&self, event: &Recorded<Done>) {}
    }
    #[process_manager]
    impl Job {
        fn done(&self, _: &Recorded<Done>) {}
        fn refused(&self, _: &Rejected<Do>) {}
    }
    #[traced(attributes("by" = done.by), record("x" = result.by))]
    fn sync(done: Done) -> Done {
        done
    }
    #[test]
    fn run() {
        assert_eq!(sync(Done { by: 1, of: 2 }).by, 1);
        assert_eq!(Ask::result_count(&vec![1]), Some(1));
        assert!(Ask::to_json(&vec![1]).is_some());
    }
}

/// An aggregate with associated functions of the names that its traits have.
mod inherent {
    use eventsource_runtime::prelude::*;
    #[derive(Event, serde::Serialize, serde::Deserialize)]
    struct Done {
        attributes: u8,
    }
    impl Done {
        const NAME: u8 = 1;
        const VERSION: u8 = 1;
        fn attributes(&self) {}
    }
    #[derive(Aggregate, Default)]
    #[aggregate(id = String, events(Done))]
    struct Job;
    impl Job {
        const NAME: u8 = 1;
        fn evolve(&self) {}
        fn apply(&self) {}
        fn handle(&self) {}
        fn register(&self) {}
        fn meet(&self) {}
        fn name(&self) {}
    }
    impl JobEvent {
        const EVENTS: u8 = 1;
        fn as_event(&self) {}
        fn from() {}
        fn include() {}
    }
    impl Apply<Done> for Job {
        fn apply(&mut self, _: Done) {}
    }
    #[derive(Command, Clone, serde::Serialize, serde::Deserialize)]
    #[command(aggregate = Job)]
    struct Do {
        #[command(id)]
        id: String,
    }
    impl Do {
        const NAME: u8 = 1;
        const SPAN: u8 = 1;
        fn id(&self) {}
        fn attributes(&self) {}
    }
    #[command_handler]
    impl Job {
        fn act(&self, _: Do) -> Result<Done, std::convert::Infallible> {
            Ok(Done { attributes: 1 })
        }
        async fn enable_tracing(&self, _: Again) -> Result<Done, std::convert::Infallible> {
            Ok(Done { attributes: 1 })
        }
    }
    #[derive(Command, Clone, serde::Serialize, serde::Deserialize)]
    #[command(aggregate = Job)]
    struct Again {
        #[command(id)]
        attributes: String,
    }
    struct Rows;
    #[projection(name = "rows")]
    impl Rows {
        #[projection(setup)]
        fn setup(&self) {}
        #[projection(reset)]
        fn reset(&self) {}
        fn apply(&self, _: &Recorded<Done>) {}
    }
    #[process_manager]
    impl Job {
        fn event_types(&self, _: &Recorded<Done>) {}
        fn rejected(&self, _: &Rejected<Do>) {}
    }
    #[derive(Query, serde::Deserialize)]
    #[query(output = Vec<u8>)]
    struct Ask;
    impl Ask {
        fn result_count() {}
        fn to_json() {}
    }
    #[query_handler]
    impl Rows {
        fn handle(&self, _: Ask) -> Result<Vec<u8>, std::fmt::Error> {
            Ok(vec![])
        }
    }
    #[tokio::test]
    async fn run() {
        let bus = CommandBus::builder().aggregate(Repository::<Job, _>::new(MemoryStore::new())).build();
        bus.dispatch(Do { id: "a".into() }).await.unwrap();
        bus.dispatch(Again { attributes: "a".into() }).await.unwrap();
        let queries = QueryBus::builder().handler(Rows).build();
        assert!(queries.execute(Ask).await.unwrap().is_empty());
    }
}
