//! A documented domain under every lint.

use eventsource_runtime::prelude::*;
use eventsource_runtime::store::SqliteTransaction;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A task was opened.
#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
pub struct TaskOpened {
    /// What there is to do.
    pub title: String,
}

/// A task was done.
#[derive(Clone, Debug, PartialEq, Eq, Event, Serialize, Deserialize)]
pub struct TaskDone {}

/// A thing to do.
#[derive(Debug, Default, Aggregate)]
#[aggregate(id = Uuid, error = TaskError, events(TaskOpened, TaskDone), derive(Clone, Debug, PartialEq, Eq))]
pub struct Task {
    open: bool,
}

impl Apply<TaskOpened> for Task {
    fn apply(&mut self, _: TaskOpened) {
        self.open = true;
    }
}

impl Apply<TaskDone> for Task {
    fn apply(&mut self, _: TaskDone) {
        self.open = false;
    }
}

/// Why a task refuses.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// There is nothing to do.
    #[error("the task is not open")]
    NotOpen,
}

/// Opens a task.
#[derive(Clone, Debug, Command, Serialize, Deserialize)]
#[command(aggregate = Task)]
pub struct OpenTask {
    /// Which.
    #[command(id)]
    pub task: Uuid,
    /// What there is to do.
    pub title: String,
}

/// Ends a task.
#[derive(Clone, Debug, Command, Serialize, Deserialize)]
#[command(aggregate = Task)]
pub struct DoTask {
    /// Which.
    #[command(id)]
    pub task: Uuid,
}

/// What the handlers need.
#[derive(Debug)]
pub struct Services {
    /// Put before each title.
    pub prefix: &'static str,
}

#[command_handler]
impl Task {
    #[traced(attributes("task.title_length" = command.title.len()))]
    fn open(&self, command: OpenTask, services: &Services) -> Result<TaskOpened, TaskError> {
        Ok(TaskOpened { title: format!("{}{}", services.prefix, command.title) })
    }

    async fn done(&self, _: DoTask, _: &Services) -> Result<[TaskDone; 1], TaskError> {
        if self.open { Ok([TaskDone {}]) } else { Err(TaskError::NotOpen) }
    }
}

/// Counts open tasks.
#[derive(Debug)]
pub struct OpenTasks;

#[projection(name = "OpenTasks", enable_tracing = true)]
impl OpenTasks {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute_batch("CREATE TABLE open_tasks (task TEXT PRIMARY KEY)")?;
        Ok(())
    }

    fn opened(&self, event: &Recorded<TaskOpened>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        tx.execute("INSERT INTO open_tasks VALUES (?1)", [event.aggregate_id()])?;
        Ok(())
    }
}

/// Whoever opens a task has it done.
#[derive(Debug, Default, Aggregate)]
#[aggregate(id = Uuid, events(TaskTaken), derive(Debug))]
pub struct Taking {
    taken: u32,
}

/// A task was taken.
#[derive(Clone, Debug, Event, Serialize, Deserialize)]
pub struct TaskTaken {}

impl Apply<TaskTaken> for Taking {
    fn apply(&mut self, _: TaskTaken) {
        self.taken += 1;
    }
}

#[process_manager(name = "Taking", enable_tracing = true)]
impl Taking {
    fn opened(&self, event: &Recorded<TaskOpened>) -> Result<Reaction<Self>, uuid::Error> {
        let task = event.aggregate_id().parse()?;
        Ok(Reaction::new().record(TaskTaken {}).dispatch(DoTask { task }))
    }

    // The body has no use for the event.
    #[process_manager(id = event.stream_id().aggregate_id())]
    fn done(&self, event: &Recorded<TaskDone>) -> Option<OpenTask> {
        (self.taken == 0).then(|| OpenTask { task: Uuid::nil(), title: "again".into() })
    }

    fn refused(&self, refused: &Rejected<DoTask>) -> Option<OpenTask> {
        (self.taken > 1).then(|| OpenTask { task: refused.task, title: "once more".into() })
    }
}

/// A lamp, which is so small that it could be passed by value.
#[derive(Clone, Copy, Debug, Default, Aggregate)]
#[aggregate(id = u64, events(Lit, Old), derive(Debug))]
#[allow(deprecated, reason = "it was lit in this way once")]
pub struct Lamp(bool);

/// A lamp was lit.
#[derive(Clone, Debug, Event, Serialize, Deserialize)]
pub struct Lit {
    /// How, once.
    #[deprecated]
    #[event(attribute)]
    pub how: Option<String>,
}

/// A lamp was lit, as it was once.
#[deprecated]
#[derive(Clone, Debug, Event, Serialize, Deserialize)]
pub struct Old {}

impl Apply<Lit> for Lamp {
    fn apply(&mut self, _: Lit) {
        self.0 = true;
    }
}

#[allow(deprecated, reason = "it was lit in this way once")]
impl Apply<Old> for Lamp {
    fn apply(&mut self, _: Old) {
        self.0 = true;
    }
}

/// Lights a lamp.
#[derive(Clone, Debug, Command, Serialize, Deserialize)]
#[command(aggregate = Lamp)]
pub struct Light {
    /// Which.
    #[command(id)]
    pub lamp: u64,
    /// How, once.
    #[deprecated]
    #[command(attribute)]
    pub how: Option<String>,
}

/// Asks for a lamp, as it was once.
#[deprecated]
#[derive(Clone, Debug, Query, Serialize, Deserialize)]
#[query(output = bool)]
pub struct IsLit {
    /// Which.
    #[query(attribute)]
    pub lamp: u64,
}

#[command_handler]
impl Lamp {
    #[traced(attributes("lamp.lit" = self.0), enable_tracing = !self.0)]
    fn light(&self, command: Light, _services: &()) -> Result<Option<Lit>, std::convert::Infallible> {
        #[allow(deprecated, reason = "it has to be given")]
        let lit = Lit { how: None };
        Ok((!self.0 && command.lamp > 0).then_some(lit))
    }
}

#[process_manager]
impl Lamp {
    #[allow(deprecated, reason = "it was lit in this way once")]
    fn lit(&self, event: &Recorded<Old>) {
        assert!(!event.aggregate_id().is_empty());
    }
}

/// What there was once.
#[derive(Debug)]
pub struct Past;

#[projection]
#[allow(deprecated, reason = "it was lit in this way once")]
impl Past {
    // What is said of a lint on a method holds.
    #[expect(clippy::unused_self, reason = "there is nothing in it")]
    fn lit(&self, event: &Recorded<Old>) {
        assert!(!event.aggregate_id().is_empty());
    }
}

#[query_handler]
impl Past {
    #![allow(deprecated, reason = "it was asked for in this way once")]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "there is nothing in it")]
    fn is_lit(&self, query: IsLit) -> Result<bool, std::convert::Infallible> {
        Ok(!query.lamp.to_string().is_empty())
    }
}

/// Waits.
#[traced]
pub async fn wait(_ticket: String) {}

/// Sends.
#[traced]
#[must_use]
pub fn send(_ticket: String, text: String) -> Vec<String> {
    vec![text]
}

/// Greets.
#[traced(attributes(name), record("length" = result.len()))]
#[must_use]
pub fn greet(name: &str) -> String {
    format!("hello {name}")
}

/// A counter.
#[derive(Debug, Default, Aggregate)]
#[aggregate(id = u64, events(Lit), derive(Debug))]
pub struct Meter {
    /// Whether it counts.
    pub on: bool,
    /// How far it is.
    pub count: u64,
}

impl Apply<Lit> for Meter {
    fn apply(&mut self, _: Lit) {
        self.count += 1;
    }
}

/// Counts.
#[derive(Clone, Debug, Command, Serialize, Deserialize)]
#[command(aggregate = Meter)]
pub struct Count {
    /// Which.
    #[command(id)]
    pub meter: u64,
    /// By how much.
    pub count: u64,
}

#[command_handler]
impl Meter {
    // Fields, and not what is bound under their names.
    #[traced(attributes("meter.count" = self.count), enable_tracing = self.on)]
    fn count(&self, Count { count, .. }: Count, on: &u64) -> Result<Option<Lit>, std::convert::Infallible> {
        #[allow(deprecated, reason = "it has to be given")]
        let lit = Lit { how: None };
        Ok((count > *on).then_some(lit))
    }

    // Another name in a path, and an argument that changes in the body alone.
    #[traced(attributes("shop" = shop::name()))]
    fn rename(&self, Rename { name, .. }: Rename, mut most: &u64) -> Result<Option<Lit>, std::convert::Infallible> {
        if name.is_empty() {
            most = &1;
        }
        #[allow(deprecated, reason = "it has to be given")]
        let lit = Lit { how: None };
        Ok((self.count > *most).then_some(lit))
    }
}

/// Renames.
#[derive(Clone, Debug, Command, Serialize, Deserialize)]
#[command(aggregate = Meter)]
pub struct Rename {
    /// Which.
    #[command(id)]
    pub meter: u64,
    /// How it is called.
    pub name: String,
}

/// Where meters are sold.
pub mod shop {
    /// How it is called.
    #[must_use]
    pub const fn name() -> &'static str {
        "shop"
    }
}

/// Counts, and records by a closure of which the argument is called like what is returned.
#[traced(record("long" = names.iter().filter(|result| result.len() > 3).count()))]
#[must_use]
pub fn count(names: &[String]) -> usize {
    names.len()
}

/// Has an argument that it only holds.
#[traced]
#[must_use]
pub fn hold(_held: String, name: &str) -> usize {
    name.len()
}

#[tokio::test]
async fn a_domain_works_under_every_lint() {
    let repository = Repository::<Task, _>::new(MemoryStore::new()).with_services(Services { prefix: "do: " });
    let bus = CommandBus::builder().aggregate(repository).build();
    let task = Uuid::now_v7();
    bus.dispatch(OpenTask { task, title: greet("tea") }).await.unwrap();
    bus.dispatch(DoTask { task }).await.unwrap();
    let runner = ProcessManagerRunner::new(MemoryStore::new(), bus.clone()).process_manager::<Taking>();
    runner.spawn().shutdown().await.unwrap();
    let refused = bus.dispatch(DoTask { task }).await.unwrap_err();
    assert!(refused.is_rejected());
}
