//! The threads of a store: one that writes, a few that read, and how they are asked.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot::error::RecvError;
use tokio::sync::{mpsc, oneshot};

use super::connection::{self, Role, rollback};
use super::log::{self, Log};
use super::options::SqliteOptions;
use super::queue::{ClosedAtEnd, Queue};
use super::schema;
use super::writer::{self, Append, Command};
use crate::poll::unless;
use crate::store::head::Head;
use crate::store::{AppendError, Appended, ExpectedVersion, NewEvent, StoreError, StreamId};
use crate::telemetry::Scope;

/// How long a caller looks for an answer that is under way before it lets others run: about as long as to wake it up
/// would take.
const GLANCE: Duration = Duration::from_micros(20);
/// How long the only caller looks for an answer in all, letting others run in between: somewhat longer than a quick
/// disk takes to commit. Of what takes longer, the time to wake up is a small part.
const PATIENCE: Duration = Duration::from_micros(250);

const OWN_THREAD: &str = "the thread that writes runs the step, and whoever blocks it waits forever; write with the \
    step's transaction, or dispatch from a process manager";

thread_local! {
    /// Whose jobs this thread does, if it is one that writes.
    static WRITES: Cell<*const Queue<Command>> = const { Cell::new(ptr::null()) };
}

/// Something to be done with a connection. It answers its caller itself.
pub(super) type Job = Box<dyn FnOnce(&Connection) + Send>;

type Answer<T> = oneshot::Receiver<Result<T, Box<dyn Any + Send>>>;
type Answered<T> = Result<Result<T, Box<dyn Any + Send>>, RecvError>;

/// The threads, for as long as a handle of the store lives.
pub(super) struct Threads {
    path: PathBuf,
    head: Arc<Head>,
    writes: Arc<Queue<Command>>,
    /// `None` for a database in memory, whose one connection belongs to the thread that writes.
    reads: Option<Arc<Queue<Job>>>,
    /// Says `None` when the last thread has closed its connection.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

impl Threads {
    pub(super) async fn start(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let alone = path.as_os_str() == ":memory:";
        let (running, ended) = mpsc::channel(1);
        let threads = Self {
            path: path.to_owned(),
            head: Arc::default(),
            writes: Arc::new(Queue::watched()),
            reads: (!alone).then(|| Arc::new(Queue::new())),
            ended: tokio::sync::Mutex::new(ended),
        };
        let (head, writes) = (Arc::clone(&threads.head), Arc::clone(&threads.writes));
        let given = path.to_owned();
        let (reading, read) = std::sync::mpsc::channel::<()>();
        let guard = running.clone();
        let opened = threads.spawn("eventsource-sqlite-write", &options, Role::Writer, guard, move |connection| {
            let closed = ClosedAtEnd(&*writes);
            WRITES.set(Arc::as_ptr(&writes));
            writer::run(connection, &writes, &head, Log::of(connection, &given, log::LIMIT));
            drop(closed);
            // Of connections that close at once none is the last, which removes the log.
            let _ = read.recv();
        });
        opened?.await.unwrap_or(Err(StoreError::Closed))?;
        let readers = if let Some(reads) = &threads.reads { vec![reads; options.readers] } else { Vec::new() };
        for reads in readers {
            let (reads, guard) = (Arc::clone(reads), (running.clone(), reading.clone()));
            let opened = threads.spawn("eventsource-sqlite-read", &options, Role::Reader, guard, move |connection| {
                let _closed = ClosedAtEnd(&*reads);
                let mut jobs = Vec::with_capacity(1);
                while reads.take(1, &mut jobs) {
                    jobs.drain(..).for_each(|job| run(job, connection));
                }
            });
            opened?.await.unwrap_or(Err(StoreError::Closed))?;
        }
        Ok(threads)
    }

    /// Starts a thread that opens its connection and then works with it; the receiver tells when it is open. What
    /// guards it is dropped when the connection is closed.
    fn spawn(
        &self,
        name: &str,
        options: &SqliteOptions,
        role: Role,
        guard: impl Send + 'static,
        work: impl FnOnce(&Connection) + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<(), StoreError>>, StoreError> {
        let (opened, told) = oneshot::channel();
        let (path, options) = (self.path.clone(), options.clone());
        let body = move || {
            // Dropped last, when the connection is closed.
            let _guard = guard;
            let connection = connection::open(&path, &options, role).and_then(|connection| {
                if role == Role::Writer {
                    schema::migrate(&connection)?;
                }
                Ok(connection)
            });
            match connection {
                Err(error) => drop(opened.send(Err(error))),
                Ok(connection) => {
                    // If nobody waits for the store any more, its queue is closed, and there is no work.
                    let _ = opened.send(Ok(()));
                    work(&connection);
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
        thread.map_err(|error| StoreError::backend("start a thread", error))?;
        Ok(told)
    }

    /// Appends, and waits for what comes of it.
    pub(super) async fn append(
        &self,
        stream: &StreamId,
        expected: ExpectedVersion,
        events: Vec<NewEvent>,
    ) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        let begins_at_once = self.writer_is_free();
        self.ask_writer(Command::Append(Append { stream: stream.clone(), expected, events, reply })).await?;
        let answered = if begins_at_once { self.looked_for(answer).await } else { answer.await };
        answered.unwrap_or(Err(AppendError::Store(StoreError::Closed)))
    }

    /// Gives the thread that writes something to do. On that thread itself, in a step of a projection that blocks on a
    /// future, the answer would never come.
    async fn ask_writer(&self, command: Command) -> Result<(), StoreError> {
        if WRITES.get() == Arc::as_ptr(&self.writes) {
            return Err(StoreError::refused("wait for a step that waits for the store", OWN_THREAD));
        }
        self.writes.push(command).await
    }

    /// An answer that is looked for for a while, as long as nothing else waits for the thread that writes. It is waited
    /// for meanwhile: this thread may have more to do when it comes, and another one takes over then.
    async fn looked_for<T>(&self, mut answer: oneshot::Receiver<T>) -> Result<T, RecvError> {
        let asked = Instant::now();
        loop {
            glance(&answer);
            if let Some(answered) = unless(tokio::task::yield_now(), &mut answer).await {
                return answered;
            }
            if !self.writes.is_empty() || asked.elapsed() >= PATIENCE {
                return answer.await;
            }
        }
    }

    /// Runs a closure on a thread that reads; it is told when its caller has gone. Its panic goes on in the caller.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(read);
        match &self.reads {
            Some(reads) => reads.push(job).await?,
            None => self.ask_writer(Command::Job(job)).await?,
        }
        answered(answer).await
    }

    /// Whether the thread that writes waits for something to do, and would begin with it at once.
    pub(super) fn writer_is_free(&self) -> bool {
        self.writes.is_watched()
    }

    /// As [`Threads::read`], on the thread that writes: for what takes no longer than to hand it over.
    pub(super) async fn read_at_once<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(read);
        self.ask_writer(Command::Job(job)).await?;
        answered(self.looked_for(answer)).await
    }

    /// Runs a closure on the thread that writes. Its panic goes on in the caller.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(|connection, _| write(connection));
        self.ask_writer(Command::Job(job)).await?;
        answered(answer).await
    }

    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether one connection serves reads and writes.
    pub(super) fn is_alone(&self) -> bool {
        self.reads.is_none()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.writes.is_closed()
    }

    pub(super) async fn close(&self) {
        self.stop();
        while self.ended.lock().await.recv().await.is_some() {}
    }

    fn stop(&self) {
        self.writes.close();
        if let Some(reads) = &self.reads {
            reads.close();
        }
    }
}

/// Without waiting: what the threads still do is to close their connections.
impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Looks for an answer for a moment, in which nobody else runs on this thread.
fn glance<T>(answer: &oneshot::Receiver<T>) {
    let begun = Instant::now();
    while answer.is_empty() && begun.elapsed() < GLANCE {
        std::hint::spin_loop();
    }
}

async fn answered<T>(answer: impl Future<Output = Answered<T>>) -> Result<T, StoreError> {
    match answer.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Err(StoreError::Closed),
    }
}

/// A job that runs a closure, in the caller's scope, and answers with what it returned, or with its panic. If its
/// caller has gone before, it does nothing.
fn job<T: Send + 'static>(body: impl FnOnce(&Connection, &dyn Fn() -> bool) -> T + Send + 'static) -> (Job, Answer<T>) {
    let (reply, answer) = oneshot::channel();
    let scope = Scope::current();
    let job = move |connection: &Connection| {
        if reply.is_closed() {
            return;
        }
        let result = catch_unwind(AssertUnwindSafe(|| scope.in_scope(|| body(connection, &|| reply.is_closed()))));
        // What a closure forgot to end would hold back everybody who comes after it.
        rollback(connection);
        drop(reply.send(result));
    };
    (Box::new(job), answer)
}

/// Runs a job. The drop of what nobody waits for any more may panic, and must not end the thread.
pub(super) fn run(job: Job, connection: &Connection) {
    let _ = catch_unwind(AssertUnwindSafe(|| job(connection)));
}

/// Refuses writes on a connection that else may write, as long as it lives.
pub(super) struct QueryOnly<'a>(&'a Connection);

impl<'a> QueryOnly<'a> {
    pub(super) fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        // Not as a prepared statement that is kept: it has its effect while it is prepared.
        connection.pragma_update(None, "query_only", true)?;
        Ok(Self(connection))
    }
}

impl Drop for QueryOnly<'_> {
    fn drop(&mut self) {
        let _ = self.0.pragma_update(None, "query_only", false);
    }
}
