//! What a command is decided upon when another one was faster.

use std::convert::Infallible;

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::MemoryStore;
use eventsource_tests::recorder::Recorder;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Event, Clone, Serialize, Deserialize)]
struct Joined {
    name: String,
}

#[derive(Aggregate, Default)]
#[aggregate(id = Uuid, events(Joined))]
struct Queue {
    names: Vec<String>,
}

impl Apply<Joined> for Queue {
    fn apply(&mut self, event: Joined) {
        self.names.push(event.name);
    }
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Queue)]
struct Join {
    #[command(id)]
    queue: Uuid,
}

#[command_handler]
impl Queue {
    /// Somebody else is faster, once.
    async fn join(&self, command: Join, store: &MemoryStore) -> Result<Joined, Infallible> {
        if self.names == ["Ada"] {
            let faster = Repository::<Queue, _>::new(store.clone()).enable_tracing(false);
            let event = Joined { name: "Grace".into() };
            faster.append(&command.queue, ExpectedVersion::Any, event).await.expect("the store works");
        }
        Ok(Joined { name: format!("behind {}", self.names.join(" and ")) })
    }
}

#[tokio::test]
async fn a_command_that_lost_reads_what_came_between_alone_and_is_decided_upon_all() {
    let (recorder, store, queue) = (Recorder::new(), MemoryStore::new(), Uuid::now_v7());
    let queues = Repository::<Queue, _>::new(store.clone()).with_services(store);
    queues.append(&queue, ExpectedVersion::NoStream, Joined { name: "Ada".into() }).await.unwrap();
    let bus = CommandBus::builder().aggregate(queues.clone()).build();
    assert_eq!(recorder.run(bus.dispatch(Join { queue })).await.unwrap().version, 3);
    assert_eq!(queues.load(&queue).await.unwrap().state.names, ["Ada", "Grace", "behind Ada and Grace"]);
    let rendered = recorder.trees().render();
    let lines = |of: &str| {
        let found = rendered.lines().filter_map(|line| line.trim().strip_prefix(of));
        found.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(". eventsource.from_version="), ["1", "2"], "{rendered}");
    assert_eq!(lines(". eventsource.retry.count="), ["1"], "{rendered}");
}
