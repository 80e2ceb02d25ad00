//! A state of which JSON keeps no snapshot, and what is said of it.

use std::collections::BTreeMap;
use std::error::Error as _;

use eventsource_runtime::prelude::*;
use eventsource_runtime::snapshot::SnapshotError;
use serde::{Deserialize, Serialize};

const CARD: u64 = 4_111_111_111_111_111;

#[derive(Event, Serialize, Deserialize)]
struct Filled {
    with: u32,
}

#[derive(Aggregate, Default, Serialize, Deserialize)]
#[aggregate(id = u32, events(Filled), snapshot(every = 100))]
#[serde(tag = "kind")]
enum Wallet {
    #[default]
    Empty,
    Cards {
        cents: BTreeMap<u64, u64>,
    },
    Coins {
        amount: u128,
    },
    Rate {
        rate: f64,
    },
    Rates {
        rates: BTreeMap<(u64, u64), u64>,
    },
}

impl Apply<Filled> for Wallet {
    fn apply(&mut self, event: Filled) {
        *self = match event.with {
            1 => Self::Cards { cents: [(CARD, 5)].into() },
            2 => Self::Coins { amount: CARD.into() },
            3 => Self::Rate { rate: f64::NAN },
            4 => Self::Rates { rates: [((CARD, 1), 5)].into() },
            _ => Self::Empty,
        };
    }
}

/// All were said to be a fault of `Serialize`, with serde's own error, which quotes what it read.
#[tokio::test]
async fn a_state_that_is_not_read_back_is_told_from_one_that_is_not_written_and_quoted_by_neither() {
    let wallets = Repository::<Wallet, _>::new(MemoryStore::new());
    let faults = ["cannot be read back from JSON: ", "cannot be written as JSON; "];
    for (with, fault) in [(1, faults[0]), (2, faults[0]), (3, faults[0]), (4, faults[1])] {
        wallets.append(&with, ExpectedVersion::NoStream, Filled { with }).await.unwrap();
        let refused = wallets.create_snapshot(&with).await.unwrap_err();
        assert!(matches!(refused, SnapshotError::Encode { .. }), "{refused:?}");
        let said = format!("the state of `Wallet-{with}` at version 1 {fault}");
        assert!(refused.to_string().starts_with(&said), "{refused}");
        let all = format!("{refused:?}: {refused}: {}", refused.source().unwrap());
        assert!(!all.contains(&CARD.to_string()), "{all}");
    }
    wallets.append(&5, ExpectedVersion::NoStream, Filled { with: 5 }).await.unwrap();
    assert_eq!(wallets.create_snapshot(&5).await.unwrap(), Some(Version::new(1)));
}
