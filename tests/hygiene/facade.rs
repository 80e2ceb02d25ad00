//! The runtime behind another crate's name, as in an application's own prelude.

/// What an application calls the runtime.
pub mod renamed {
    pub use eventsource_runtime as es;
}

use serde::{Deserialize, Serialize};

use self::renamed::es;

/// Something happened.
#[derive(Debug, es::Event, Serialize, Deserialize)]
#[event(crate = self::renamed::es)]
pub struct Happened {
    /// How often.
    #[event(attribute)]
    pub times: u32,
}

/// Counts what happened.
#[derive(Debug, Default, es::Aggregate)]
#[aggregate(id = String, events(Happened), crate = self::renamed::es)]
pub struct Counter {
    times: u32,
}

impl es::Apply<Happened> for Counter {
    fn apply(&mut self, event: Happened) {
        self.times += event.times;
    }
}

/// Makes it happen.
#[derive(Clone, Debug, es::Command, Serialize, Deserialize)]
#[command(aggregate = Counter, crate = self::renamed::es)]
pub struct Happen {
    /// Where.
    #[command(id)]
    pub counter: String,
}

#[es::command_handler(crate = self::renamed::es)]
impl Counter {
    fn happen(&self, _: Happen) -> Result<Happened, std::convert::Infallible> {
        Ok(Happened { times: once(self.times) })
    }
}

/// Asks how often it happened.
#[derive(Debug, es::Query, Deserialize)]
#[query(output = u32, crate = self::renamed::es)]
pub struct HowOften {}

/// Answers.
#[derive(Debug)]
pub struct Answers;

#[es::query_handler(crate = self::renamed::es)]
impl Answers {
    async fn how_often(&self, _: HowOften) -> Result<u32, std::fmt::Error> {
        Ok(1)
    }
}

/// Watches.
#[derive(Debug)]
pub struct Watches;

#[es::projection(crate = self::renamed::es)]
impl Watches {
    fn happened(&self, event: &es::Recorded<Happened>) {
        println!("{}", event.times);
    }
}

/// Lets it happen elsewhere as well.
#[es::process_manager(crate = self::renamed::es)]
impl Counter {
    #[process_manager(id = event.times)]
    fn happened(&self, event: &es::Recorded<Happened>) -> Option<Happen> {
        (event.times > 9).then(|| Happen { counter: "elsewhere".to_owned() })
    }

    fn refused(&self, refused: &es::dispatch::Rejected<Happen>) -> Option<Happen> {
        (self.times > 9).then(|| Happen { counter: refused.counter.clone() })
    }
}

#[es::traced(crate = self::renamed::es, attributes(times))]
fn once(times: u32) -> u32 {
    times + 1
}

#[tokio::test]
async fn the_runtime_may_have_another_name() {
    let repository = es::Repository::<Counter, _>::new(es::store::MemoryStore::new());
    let bus = es::dispatch::CommandBus::builder().aggregate(repository.clone()).build();
    bus.dispatch(Happen { counter: "here".into() }).await.unwrap();
    assert_eq!(repository.load(&"here".into()).await.unwrap().state.times, 1);
}
