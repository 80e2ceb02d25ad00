//! Many schedules of the bus within the process: a model is told of each step, and finds the one that breaks a promise.
//!
//! What publishers, members and handlers do follows from a seed, and so does the order in which they and the tasks of
//! the bus run: on one thread, where whoever is polled lets others run before it as often as the dice say. Time is
//! virtual. What threads do to each other between two awaits is not shown.
//!
//! `EVENTSOURCE_TESTS_SCHEDULES` says how many schedules there are, `EVENTSOURCE_TESTS_SEED` with which they begin. A
//! few in ten thousand do not follow from their seed alone: those in which a lane is stopped for the ten milliseconds
//! of real time after which it settles, and in which several publishers hear at once that the bus was shut down.

mod actors;
mod model;
mod watched;

use std::ops::AddAssign;
use std::panic::catch_unwind;
use std::sync::Arc;
use std::time::Duration;

use eventsource_runtime::bus::{
    Consumer, EventBus, InProcess, InProcessBus, InProcessOptions, Intake, SlowSubscriber, Traced,
};
use eventsource_tests::dice::Dice;
use eventsource_tests::services::repeats;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use actors::World;
use model::{GROUPS, Limits, Model};
use watched::{Watched, Watcher, number};

const SCHEDULES: &str = "EVENTSOURCE_TESTS_SCHEDULES";
const SEED: &str = "EVENTSOURCE_TESTS_SEED";
/// What takes as long has no end.
const FOREVER: Duration = Duration::from_mins(1);

/// What the schedules were about.
#[derive(Clone, Debug, Default)]
struct Seen {
    messages: usize,
    deliveries: usize,
    retries: usize,
    panics: usize,
    /// Messages that handlers published.
    again: usize,
    /// Messages that were refused, since a queue was full.
    full: usize,
    /// Messages that members gave back when they were aborted.
    given_back: usize,
    /// Shutdowns that left nothing, and those that left something.
    drained: usize,
    left: usize,
}

/// A seed beside another one is nothing like it.
fn dice(seed: u64) -> Dice {
    let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    Dice((mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb))
}

fn limits(dice: &mut Dice) -> Limits {
    let mut once_in = |times| dice.below(times) == 0;
    Limits {
        capacity: if once_in(2) { 1 } else { 2 },
        refuses: once_in(3),
        dead_letters: if once_in(2) { 1 } else { 8 },
        refuses_unroutable: once_in(4),
        confirms: once_in(4),
    }
}

fn options(limits: Limits) -> InProcessOptions {
    let slow = if limits.refuses { SlowSubscriber::Refuse } else { SlowSubscriber::Wait };
    let options = InProcessOptions::default().capacity(limits.capacity).slow_subscriber(slow);
    let options = options.dead_letters(limits.dead_letters);
    let options = if limits.refuses_unroutable { options.refuse_unroutable() } else { options };
    if limits.confirms { options.confirm_handled() } else { options }
}

/// How a schedule ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Shutdown,
    ShutdownInAHurry,
    /// The first one is dropped on its way.
    ShutdownAgain,
    /// Nobody shuts the bus down.
    Members,
    Dropped,
}

async fn shut_down(world: &World, bus: &InProcessBus, deadline: Option<Duration>) {
    let watcher = &world.watcher;
    watcher
        .clone()
        .held_up(async {
            watcher.tell(Model::closing);
            let (begun, within) = (Instant::now(), deadline.unwrap_or(FOREVER / 10));
            let left = bus.shutdown_within(within).await;
            watcher.tell(|model| model.closed(&left, deadline.is_some(), begun.elapsed() >= within));
        })
        .await;
}

async fn end(world: &World, bus: &InProcessBus, ending: Ending, publishers: &mut JoinSet<()>) {
    let short = Duration::from_millis(world.watcher.below(5));
    match ending {
        Ending::Shutdown => shut_down(world, bus, None).await,
        Ending::ShutdownInAHurry => shut_down(world, bus, Some(short)).await,
        Ending::ShutdownAgain => {
            // Whether it was dropped in time or not.
            let _ = timeout(short, shut_down(world, bus, None)).await;
            shut_down(world, bus, None).await;
        }
        Ending::Members => {}
        Ending::Dropped => publishers.abort_all(),
    }
    world.ending.close();
}

/// The dead letters of a group, which are put back.
async fn letters(bus: &InProcess, group: usize) -> Vec<usize> {
    let mut intake = Intake::of(GROUPS[group]);
    intake.dead_letters = true;
    let (mut letters, mut found) = (bus.subscribe(intake).await.expect("it is not shut down"), Vec::new());
    while let Some(letter) = letters.next().await.expect("they are there") {
        found.push((number(&letter.message), letter));
    }
    found.iter().map(|(number, _)| *number).collect()
}

async fn joined(watcher: &Watcher, tasks: &mut JoinSet<()>, what: &str) {
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            let is_fine = ended.as_ref().err().is_none_or(JoinError::is_cancelled);
            watcher.tell(|model| model.require(is_fine, || format!("{what}: {ended:?}")));
        }
    };
    let ended = timeout(FOREVER, all).await;
    watcher.tell(|model| model.require(ended.is_ok(), || format!("{what} wait for ever")));
}

async fn schedule(world: World, bus: InProcessBus, limits: Limits) {
    let watcher = Arc::clone(&world.watcher);
    let (mut owners, mut publishers) = (JoinSet::new(), JoinSet::new());
    for group in 0..=usize::try_from(watcher.below(3)).expect("it is small") {
        for _ in 0..=watcher.below(2) {
            owners.spawn(Arc::clone(&watcher).held_up(world.clone().owner(group, limits.confirms)));
        }
    }
    for _ in 0..=watcher.below(3) {
        publishers.spawn(Arc::clone(&watcher).held_up(world.clone().publisher()));
    }
    if watcher.once_in(2) {
        world.pause().await;
    } else if !limits.confirms {
        joined(&watcher, &mut publishers, "publishers").await;
    }
    let ending = match watcher.below(5) {
        0 => Ending::Shutdown,
        1 => Ending::ShutdownAgain,
        // A letter may wait for room until the bus is shut down.
        3 if !limits.confirms => Ending::Members,
        4 if !limits.confirms => Ending::Dropped,
        _ => Ending::ShutdownInAHurry,
    };
    end(&world, &bus, ending, &mut publishers).await;
    joined(&watcher, &mut publishers, "publishers").await;
    joined(&watcher, &mut owners, "owners").await;
    let inner = bus.inner().clone();
    drop((world, bus));
    let ended = timeout(FOREVER, async {
        while Handle::current().metrics().num_alive_tasks() > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let ended = ended.await;
    watcher.tell(|model| model.require(ended.is_ok(), || "tasks are left".into()));
    if matches!(ending, Ending::Members | Ending::Dropped) {
        for group in 0..GROUPS.len() {
            let found = letters(&inner, group).await;
            watcher.tell(|model| model.letters(group, &found));
        }
    }
    watcher.tell(Model::over);
}

/// What a schedule was about, or all that happened until a promise was broken.
fn run(seed: u64) -> Result<Seen, String> {
    let mut dice = dice(seed);
    let limits = limits(&mut dice);
    let (watcher, messages) = (Arc::new(Watcher::new(dice, Model::new(limits))), Arc::new(()));
    let bus = InProcessBus::with_options(options(limits));
    let held_up = Watched { inner: bus.inner().clone(), watcher: Arc::clone(&watcher) };
    let world = World {
        watcher: Arc::clone(&watcher),
        bus: Traced::over(held_up).enable_tracing(false).enable_metrics(false),
        ending: Arc::new(Semaphore::new(0)),
        messages: Arc::clone(&messages),
    };
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(watcher.unless_broken(schedule(world, bus, limits)));
    watcher.tell(|model| {
        let (holders, alive) = (Arc::strong_count(&watcher) - 1, Arc::strong_count(&messages) - 1);
        model.require(holders == 0 && alive == 0, || format!("{holders} tasks and {alive} messages are left"));
        let steps = model.steps.join("\n");
        let told = |broken| Err(format!("seed {seed}, {limits:?}\n{steps}\n{broken}"));
        model.broken.take().map_or_else(|| Ok(model.seen.clone()), told)
    })
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.deliveries += other.deliveries;
        self.retries += other.retries;
        self.panics += other.panics;
        self.again += other.again;
        self.full += other.full;
        self.given_back += other.given_back;
        self.drained += other.drained;
        self.left += other.left;
    }
}

/// The schedules of some seeds, or the first that breaks a promise, step by step.
fn run_all(seeds: impl Iterator<Item = u64>) -> Result<Seen, String> {
    let mut all = Seen::default();
    for seed in seeds {
        all += catch_unwind(|| run(seed)).unwrap_or_else(|_| Err(format!("seed {seed}: the test panicked")))?;
    }
    Ok(all)
}

#[test]
fn no_schedule_breaks_a_promise() {
    let (schedules, first) = (repeats(SCHEDULES, 10_000), repeats(SEED, 1));
    let (threads, mut all) = (std::thread::available_parallelism().map_or(1, usize::from), Seen::default());
    let seeds = |thread| (first + thread..first + schedules).step_by(threads).map(|seed| seed as u64);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run_all(seeds(thread)))).collect();
        for thread in running {
            all += thread.join().expect("it returns what went wrong").unwrap_or_else(|broken| panic!("{broken}"));
        }
    });
    println!("{schedules} schedules from seed {first}: {all:?}");
    let Seen { retries, panics, again, full, given_back, drained, left, .. } = all;
    let seen = [retries, panics, again, full, given_back, drained, left];
    assert!(schedules < 1000 || seen.iter().all(|count| *count > schedules / 20), "{all:?}");
}
