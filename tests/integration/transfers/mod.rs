//! Money moved between accounts by a process manager, while the process dies, calls are slow, and answers are lost:
//! however that goes, no cent is made or lost.
//!
//! Each run follows from a seed. Time is virtual: nothing waits for a clock on the wall, save a millisecond for the
//! lease of a process that has died. `EVENTSOURCE_TESTS_RUNS` says how many runs there are, `EVENTSOURCE_TESTS_SEED`
//! with which they begin.

mod domain;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use eventsource_runtime::clock::{Clock, Timestamp};
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::Filter;
use eventsource_tests::dice::Dice;
use eventsource_tests::faulty::Faulty;
use uuid::Uuid;

use domain::{Account, Ask, Deposited, Done, Failed, LATE, Late, Moving, Open, Returned, Transfer, Withdrawn};

fn count(dice: &mut Dice, end: u64) -> usize {
    usize::try_from(dice.below(end)).expect("it is small")
}

/// Virtual time, which goes on while the process is dead.
#[derive(Debug, Default)]
struct Virtual {
    micros: AtomicI64,
    ids: AtomicU64,
}

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }

    fn new_id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.ids.fetch_add(1, Ordering::SeqCst)) + 1_000_000)
    }
}

#[derive(Clone, Copy)]
struct Plan {
    from: u64,
    to: u64,
    cents: u64,
}

const ACCOUNTS: u64 = 3;

struct World {
    store: Faulty,
    clock: Arc<Virtual>,
    dice: Dice,
    opened: Vec<(u64, u64)>,
    transfers: Vec<Plan>,
}

/// What happened in all runs.
#[derive(Debug, Default)]
struct Seen {
    deaths: u64,
    done: u64,
    failed: u64,
    given_back: u64,
    late: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let opened = (0..ACCOUNTS).map(|_| (dice.below(300), 200 + dice.below(300))).collect();
        let plan = |dice: &mut Dice| {
            let from = dice.below(ACCOUNTS);
            Plan { from, to: (from + 1 + dice.below(ACCOUNTS - 1)) % ACCOUNTS, cents: 1 + dice.below(200) }
        };
        let transfers = (0..=dice.below(5)).map(|_| plan(&mut dice)).collect();
        Self { store: Faulty::default(), clock: Arc::default(), dice, opened, transfers }
    }

    fn bus(&self) -> CommandBus {
        let (store, clock) = (&self.store, &self.clock);
        CommandBus::builder()
            .aggregate(Repository::<Account, _>::new(store.clone()).with_clock(clock.clone()))
            .aggregate(Repository::<Transfer, _>::new(store.clone()).with_clock(clock.clone()))
            .build()
    }

    /// One life of the process: everybody asks for what they want, if they have no answer yet, and it is waited until
    /// nothing follows any more. Whether it lived to see that.
    fn live(&mut self, is_last: bool) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        self.store.revive();
        if !is_last {
            let call = count(&mut self.dice, 60);
            self.store.die_at(call, self.dice.below(2) == 0);
            self.store.lose_answers(count(&mut self.dice, 2));
        }
        self.store.slow_down(if self.dice.below(2) == 0 { 0 } else { self.dice.below(u64::MAX) | 1 });
        let lived = runtime.block_on(async {
            tokio::select! {
                () = self.run() => true,
                () = self.store.death() => false,
            }
        });
        // With the runtime everything goes that the process had in memory. Then it takes a while to start again.
        drop(runtime);
        let pause = i64::try_from(self.dice.below(20_000_000)).expect("it is small");
        self.clock.micros.fetch_add(pause, Ordering::SeqCst);
        lived
    }

    async fn run(&self) {
        let bus = self.bus();
        let managers = ProcessManagerRunner::new(self.store.clone(), bus.clone())
            .process_manager::<Moving>()
            .with_clock(self.clock.clone())
            .lease(Duration::from_millis(1))
            .spawn();
        let context = |id: u64| Context { command_id: Some(Uuid::from_u128(u128::from(id))), ..Context::default() };
        for (account, (cents, most)) in (0..).zip(&self.opened) {
            let open = Open { account, cents: *cents, most: *most };
            bus.dispatch_with(open, context(1000 + account)).await.unwrap();
        }
        for (transfer, Plan { from, to, cents }) in (0..).zip(&self.transfers) {
            let ask = Ask { transfer, from: *from, to: *to, cents: *cents };
            bus.dispatch_with(ask, context(2000 + transfer)).await.unwrap();
        }
        loop {
            let head = self.store.head().await.unwrap();
            managers.wait_for_within(head, Duration::from_hours(1)).await.unwrap();
            if self.store.head().await.unwrap() == head {
                break;
            }
        }
        managers.shutdown().await.unwrap();
    }

    /// Time goes on until whatever was put off is due, and recorded.
    fn see_the_end(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        self.store.revive();
        self.store.slow_down(0);
        self.clock.micros.fetch_add(i64::try_from(LATE.as_micros()).unwrap(), Ordering::SeqCst);
        runtime.block_on(async {
            let managers = ProcessManagerRunner::new(self.store.clone(), self.bus())
                .process_manager::<Moving>()
                .with_clock(self.clock.clone())
                .lease(Duration::from_millis(1))
                .spawn();
            let all = self.transfers.len();
            while self.count::<Late>().await < all {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            managers.shutdown().await.unwrap();
        });
    }

    async fn count<E: Event>(&self) -> usize {
        self.sum::<E>(|_| 1).await.try_into().unwrap()
    }

    async fn sum<E: Event>(&self, of: impl Fn(&E) -> u64) -> u64 {
        let page = self.store.read_all(Position::START, &Filter::all(), 100_000).await.unwrap();
        page.events.iter().filter(|event| event.is::<E>()).map(|event| of(&event.decode::<E>().unwrap())).sum()
    }

    /// What must hold whatever happened.
    async fn check(&self, seed: u64, counts: &mut Seen) {
        let accounts = Repository::<Account, _>::new(self.store.clone());
        let mut out = 0;
        for account in 0..ACCOUNTS {
            out += accounts.load(&account).await.unwrap().state.cents;
        }
        let put_in: u64 = self.opened.iter().map(|(cents, _)| cents).sum();
        assert_eq!(out, put_in, "seed {seed}: money in is not money out");
        let transfers = Repository::<Transfer, _>::new(self.store.clone());
        for transfer in (0..).take(self.transfers.len()) {
            let ends = transfers.load(&transfer).await.unwrap().state.ends;
            assert_eq!(ends, 1, "seed {seed}: transfer {transfer} ended {ends} times");
            let withdrawn = self.sum::<Withdrawn>(|event| u64::from(event.transfer == transfer)).await;
            let deposited = self.sum::<Deposited>(|event| u64::from(event.transfer == transfer)).await;
            let returned = self.sum::<Returned>(|event| u64::from(event.transfer == transfer)).await;
            assert!(withdrawn <= 1, "seed {seed}: transfer {transfer} was withdrawn {withdrawn} times");
            assert_eq!(withdrawn, deposited + returned, "seed {seed}: transfer {transfer}");
            counts.given_back += returned;
        }
        let late = self.count::<Late>().await;
        assert_eq!(late, self.transfers.len(), "seed {seed}: each transfer is late once");
        counts.late += late as u64;
        counts.done += self.count::<Done>().await as u64;
        counts.failed += self.count::<Failed>().await as u64;
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().expect("a number"))
}

#[test]
fn money_in_is_money_out_whatever_happens() {
    let (runs, first) =
        (number("EVENTSOURCE_TESTS_RUNS").unwrap_or(300), number("EVENTSOURCE_TESTS_SEED").unwrap_or(1));
    let mut seen = Seen::default();
    for seed in first..first + runs {
        let mut world = World::new(seed);
        let mut lives = world.dice.below(6);
        while !world.live(lives == 0) {
            seen.deaths += 1;
            lives = lives.saturating_sub(1);
        }
        world.see_the_end();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(world.check(seed, &mut seen));
    }
    println!("{runs} runs from seed {first}: {seen:?}");
    let Seen { deaths, done, failed, given_back, .. } = seen;
    assert!(runs < 100 || [deaths, done, failed, given_back].iter().all(|count| *count > runs / 10), "{seen:?}");
}
