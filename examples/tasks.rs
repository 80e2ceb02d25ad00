//! Tasks that are created and completed: what the tutorial builds, step by step
//! (`eventsource-runtime/docs/tutorial.md`).

use std::convert::Infallible;

use eventsource_runtime::prelude::*;
use eventsource_runtime::telemetry::{self, LogFormat, names, span, spawn_traced};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

type Failure = Box<dyn std::error::Error + Send + Sync>;

// ---- What can happen, and what is made of it ----

#[derive(Event, Serialize, Deserialize)]
struct TaskCreated {
    title: String,
}

#[derive(Event, Serialize, Deserialize)]
struct TaskCompleted {}

#[derive(Aggregate, Default)]
#[aggregate(id = String, error = TaskError, events(TaskCreated, TaskCompleted))]
struct Task {
    title: Option<String>,
    completed: bool,
}

impl Apply<TaskCreated> for Task {
    fn apply(&mut self, event: TaskCreated) {
        self.title = Some(event.title);
    }
}

impl Apply<TaskCompleted> for Task {
    fn apply(&mut self, _: TaskCompleted) {
        self.completed = true;
    }
}

#[derive(Debug, thiserror::Error)]
enum TaskError {
    #[error("there is such a task already")]
    Exists,
    #[error("there is no such task, or it is completed")]
    NotOpen,
}

// ---- What can be asked for ----

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Task)]
struct CreateTask {
    #[command(id)]
    id: String,
    #[command(attribute = "task.title")] // named, therefore on the span; nothing else is
    title: String,
}

#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Task)]
struct CompleteTask {
    #[command(id)]
    id: String,
}

#[command_handler]
impl Task {
    fn create(&self, command: CreateTask) -> Result<TaskCreated, TaskError> {
        if self.title.is_some() {
            return Err(TaskError::Exists);
        }
        Ok(TaskCreated { title: command.title })
    }

    fn complete(&self, _: CompleteTask) -> Result<TaskCompleted, TaskError> {
        if self.title.is_none() || self.completed {
            return Err(TaskError::NotOpen);
        }
        Ok(TaskCompleted {})
    }
}

// ---- A component of one's own ----

struct TaskService {
    commands: CommandBus,
    tasks: Repository<Task, MemoryStore>,
    enable_tracing: bool,
}

impl TaskService {
    #[traced(enable_tracing = self.enable_tracing, attributes("task.title" = title))]
    async fn create_task(&self, id: &str, title: &str) -> Result<(), Failure> {
        let created = self.commands.dispatch(CreateTask { id: id.into(), title: title.into() }).await?;
        // Only known half-way, so recorded on the span that is current: this method's.
        current_span().record(names::ATTR_AGGREGATE_TYPE, Task::NAME);
        current_span().record(names::ATTR_EVENT_COUNT, created.events);
        Ok(())
    }

    #[traced(enable_tracing = self.enable_tracing, attributes(eventsource.aggregate.id = id))]
    async fn complete_task(&self, id: &str) -> Result<(), Failure> {
        self.commands.dispatch(CompleteTask { id: id.into() }).await?;
        Ok(())
    }

    #[traced(enable_tracing = self.enable_tracing, record("task.completed" = result.as_ref().ok().copied()))]
    async fn is_completed(&self, id: &str) -> Result<bool, Failure> {
        Ok(self.tasks.load(&id.to_owned()).await?.state.completed)
    }
}

struct NotificationService;

impl NotificationService {
    #[traced(kind = "client", attributes("channel" = "email"))]
    async fn send_email(&self, _recipient: &str) -> Result<(), Infallible> {
        tokio::task::yield_now().await; // where the mail server would be asked
        Ok(())
    }
}

// ---- What is read ----

struct Titles;

#[projection(enable_tracing = true)]
impl Titles {
    fn created(&self, event: &Recorded<TaskCreated>) -> Result<(), ProjectionError> {
        println!("projected: {}", event.title);
        Ok(())
    }
}

// ---- The program ----

async fn basic(store: &MemoryStore) -> Result<(), Failure> {
    let commands = CommandBus::builder().aggregate(Repository::<Task, _>::new(store.clone())).build();
    commands.dispatch(CreateTask { id: "task-1".into(), title: "Learn OpenTelemetry".into() }).await?;
    let task = Repository::<Task, _>::new(store.clone()).load(&"task-1".to_owned()).await?;
    println!("loaded: {}", task.state.title.as_deref().unwrap_or("?"));
    Ok(())
}

async fn of_ones_own(store: &MemoryStore) -> Result<(), Failure> {
    let tasks = Repository::<Task, _>::new(store.clone());
    let commands = CommandBus::builder().aggregate(tasks.clone()).build();
    let service = TaskService { commands, tasks, enable_tracing: true };
    service.create_task("task-2", "Build observability").await?;
    service.complete_task("task-2").await?;
    println!("completed: {}", service.is_completed("task-2").await?);
    if let Err(refused) = service.complete_task("task-2").await {
        println!("refused: {refused}");
    }
    // A task is outside of every span, unless it is taken along.
    let mail = spawn_traced(async { NotificationService.send_email("ada@example.org").await });
    Ok(mail.await??)
}

async fn switched_off() -> Result<(), Failure> {
    let store = MemoryStore::new().enable_tracing(false);
    let tasks = Repository::<Task, _>::new(store).enable_tracing(false);
    let commands = CommandBus::builder().aggregate(tasks).build();
    commands.dispatch(CreateTask { id: "task-3".into(), title: "Nobody sees how this is stored".into() }).await?;
    Ok(())
}

async fn not_counted() -> Result<(), Failure> {
    let tasks = Repository::<Task, _>::new(MemoryStore::new()).enable_metrics(false);
    let commands = CommandBus::builder().aggregate(tasks).enable_metrics(false).build();
    commands.dispatch(CreateTask { id: "task-4".into(), title: "Traced, and not counted".into() }).await?;
    Ok(())
}

async fn projected(store: &MemoryStore) -> Result<(), Failure> {
    let projections = ProjectionRunner::new(store.clone()).projection(Titles).spawn();
    projections.wait_for(store.head().await?).await?;
    projections.shutdown().await?;
    Ok(())
}

fn log_to_stdout() {
    let filter = EnvFilter::new("info,opentelemetry=warn");
    tracing_subscriber::fmt()
        .event_format(LogFormat::new())
        .with_env_filter(filter)
        .with_writer(std::io::stdout)
        .init();
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("telemetry is built in: {}", telemetry::AVAILABLE);
    let telemetry = Telemetry::from_env("tasks").console_without_endpoint().install()?;
    log_to_stdout();

    let store = MemoryStore::new();
    basic(&store).await?;
    span("own").run(of_ones_own(&store)).await?;
    switched_off().await?;
    not_counted().await?;
    projected(&store).await?;

    Ok(telemetry.shutdown().await?) // exports what is left
}
