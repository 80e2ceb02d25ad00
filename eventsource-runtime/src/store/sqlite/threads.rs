//! The threads of a store: one that writes, a few that read, and how to call them.

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
use tokio::time;

use super::connection::{self, Role, rollback};
use super::log::{self, Log};
use super::options::SqliteOptions;
use super::queue::{ClosedAtEnd, Queue};
use super::turns::Turn;
use super::writer::{self, Append, Command};
use super::{moved, schema};
use crate::poll::unless;
use crate::store::head::Head;
use crate::store::{AppendError, Appended, ExpectedVersion, NewEvent, StoreError, StreamId};
use crate::sync::Mutex;
use crate::telemetry::Scope;

/// How long a caller polls for an answer that is on its way before it lets others run: about as long as a wake-up
/// takes.
const GLANCE: Duration = Duration::from_micros(20);
/// How long the only caller polls for an answer in all, letting others run in between: somewhat longer than a quick
/// disk takes to commit. For anything longer, the time to wake up is a small part.
const PATIENCE: Duration = Duration::from_micros(250);

const OWN_THREAD: &str = "the writer thread runs the step, and whoever blocks it waits forever; write with the step's \
    transaction, or dispatch from a process manager";
const OWN_READER: &str = "a reader thread runs the closure, and once all of them wait nobody reads; read with the \
    closure's connection";

thread_local! {
    /// The queue whose jobs this thread runs, if it is a store's.
    static SERVES: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

/// A job to run with a connection. It answers its caller itself.
pub(super) type Job = Box<dyn FnOnce(&Connection) + Send>;

type Answer<T> = oneshot::Receiver<Result<T, Box<dyn Any + Send>>>;
type Answered<T> = Result<Result<T, Box<dyn Any + Send>>, RecvError>;

/// The threads, for as long as the store has a handle.
pub(super) struct Threads {
    path: PathBuf,
    head: Arc<Head>,
    writes: Arc<Queue<Command>>,
    /// `None` for an in-memory database, whose one connection belongs to the writer thread.
    reads: Option<Arc<Queue<Job>>>,
    /// Returns `None` once the last thread has closed its connection.
    ended: tokio::sync::Mutex<mpsc::Receiver<()>>,
    /// When somebody who waits for the feed last looked for what other processes have committed.
    looked: Mutex<Option<time::Instant>>,
    /// Each load and each append has one of these, too.
    waiting: Arc<()>,
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
            looked: Mutex::default(),
            waiting: Arc::default(),
        };
        let (head, writes) = (Arc::clone(&threads.head), Arc::clone(&threads.writes));
        let given = path.to_owned();
        let (reading, read) = std::sync::mpsc::channel::<()>();
        let guard = running.clone();
        let opened = threads.spawn("eventsource-sqlite-write", &options, Role::Writer, guard, move |connection| {
            serve(&writes);
            if !alone {
                moved::watch(connection, &given);
            }
            let log = Log::of(connection, &given, log::LIMIT);
            // However it ends, nobody waits for an append in vain, nor does another process for the file.
            let run = || writer::run(connection, &writes, &head, log, Turn::begin(!alone));
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                rollback(connection);
            }
            drop(ClosedAtEnd(&*writes));
            if alone {
                head.close();
            }
            // Of connections that close at the same time none is the last, which removes the log.
            let _ = read.recv();
        });
        opened?.await.unwrap_or(Err(StoreError::Closed))?;
        let readers = if let Some(reads) = &threads.reads { vec![reads; options.readers] } else { Vec::new() };
        for reads in readers {
            let (reads, guard) = (Arc::clone(reads), (running.clone(), reading.clone()));
            let opened = threads.spawn("eventsource-sqlite-read", &options, Role::Reader, guard, move |connection| {
                serve(&reads);
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

    /// Starts a thread that opens its connection and then works with it; the receiver learns when it is open. The guard
    /// is dropped when the connection is closed.
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

    /// Appends, and waits for the result.
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

    /// Gives the writer thread something to do. On that thread itself, in a projection's step that blocks on a future, the
    /// answer would never come.
    async fn ask_writer(&self, command: Command) -> Result<(), StoreError> {
        if serves(&self.writes) {
            return Err(StoreError::refused("wait for a step that waits for the store", OWN_THREAD));
        }
        self.writes.push(command).await
    }

    /// Polls for an answer for a while, as long as no other load or append waits for one, which would need the processor
    /// more. It is also awaited: this thread may be busy when the answer comes, and another one takes over then.
    async fn looked_for<T>(&self, mut answer: oneshot::Receiver<T>) -> Result<T, RecvError> {
        let asked = Instant::now();
        while self.has_one_caller() {
            glance(&answer);
            if let Some(answered) = unless(tokio::task::yield_now(), &mut answer).await {
                return answered;
            }
            if !self.writes.is_empty() || asked.elapsed() >= PATIENCE {
                break;
            }
        }
        answer.await
    }

    /// Counts a load or an append until it is dropped.
    pub(super) fn waiting(&self) -> Arc<()> {
        Arc::clone(&self.waiting)
    }

    fn has_one_caller(&self) -> bool {
        Arc::strong_count(&self.waiting) == 2
    }

    /// Runs a closure on a reader thread; the closure can see whether its caller has gone. Its panic continues in the
    /// caller.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(read);
        match &self.reads {
            Some(reads) if serves(reads) => {
                return Err(StoreError::refused("wait for a reader from a reader's closure", OWN_READER));
            }
            Some(reads) => reads.push(job).await?,
            None => self.ask_writer(Command::Job(job)).await?,
        }
        answered(answer).await
    }

    /// Whether the writer thread is polling for a job, and would begin with one at once.
    pub(super) fn writer_is_free(&self) -> bool {
        self.writes.is_watched()
    }

    /// As [`Threads::read`], on the writer thread: for what takes no longer than a handover.
    pub(super) async fn read_at_once<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, &dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = job(read);
        self.ask_writer(Command::Job(job)).await?;
        answered(self.looked_for(answer)).await
    }

    /// Runs a closure on the writer thread. Its panic continues in the caller.
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

    /// Whether it is this caller's turn to look for what other processes have committed: nobody has within the
    /// interval. What it finds is told to all who wait. Another runtime's clock may be far ahead, in a test.
    pub(super) fn is_to_look(&self, interval: Duration) -> bool {
        let (mut looked, now) = (self.looked.lock(), time::Instant::now());
        let is_to_look = looked.is_none_or(|looked| now - looked >= interval || looked > now);
        if is_to_look {
            *looked = Some(now);
        }
        is_to_look
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether one connection serves reads and writes.
    pub(super) fn is_alone(&self) -> bool {
        self.reads.is_none()
    }

    pub(super) async fn close(&self) {
        self.stop();
        // On a thread of its own it would wait for itself.
        if serves(&self.writes) || self.reads.as_ref().is_some_and(serves) {
            return;
        }
        while self.ended.lock().await.recv().await.is_some() {}
    }

    pub(super) fn stop(&self) {
        self.writes.close();
        if let Some(reads) = &self.reads {
            reads.close();
        }
        self.head.close();
    }
}

/// Without waiting: all that is left to the threads is to close their connections.
impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Notes whose jobs this thread runs from now on.
fn serve<T>(queue: &Arc<Queue<T>>) {
    SERVES.set(Arc::as_ptr(queue).cast());
}

/// Whether this thread runs the jobs of that queue.
fn serves<T>(queue: &Arc<Queue<T>>) -> bool {
    ptr::eq(SERVES.get(), Arc::as_ptr(queue).cast())
}

/// Polls for an answer for a moment, in which nobody else runs on this thread.
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

/// A job that runs a closure, in the caller's scope, and answers with its result or its panic. If its caller has gone
/// before, it does nothing.
fn job<T: Send + 'static>(body: impl FnOnce(&Connection, &dyn Fn() -> bool) -> T + Send + 'static) -> (Job, Answer<T>) {
    let (reply, answer) = oneshot::channel();
    let scope = Scope::current();
    let job = move |connection: &Connection| {
        if reply.is_closed() {
            return;
        }
        let result = catch_unwind(AssertUnwindSafe(|| scope.in_scope(|| body(connection, &|| reply.is_closed()))));
        // A transaction that a closure left open would hold up everybody after it.
        rollback(connection);
        drop(reply.send(result));
    };
    (Box::new(job), answer)
}

/// Runs a job. Dropping what nobody waits for any more may panic, which must not end the thread.
pub(super) fn run(job: Job, connection: &Connection) {
    let _ = catch_unwind(AssertUnwindSafe(|| job(connection)));
}
