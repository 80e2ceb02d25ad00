//! The peers of this run. Where one cannot be had, the run says so and goes on without it.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use eventsource_bench::peer::{Peer, built, python};
use eventsource_bench::sample::Contender;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

/// How many events a peer projects in a round: each writes them one by one, so that their number changes nothing.
const EVENTSOURCE_PY: usize = 1_000;
const DISINTEGRATE: usize = 5_000;

/// What disintegrate needs: its function has a hexadecimal literal.
const POSTGRES_16: i32 = 160_000;

const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");

/// eventsource-py on what the arguments name.
pub(crate) fn eventsource_py(arguments: &[&OsStr]) -> Option<Contender<'static>> {
    let started = python("projection.py", Path::new(SCRATCH))
        .and_then(|mut program| Peer::start(program.arg(EVENTSOURCE_PY.to_string()).args(arguments)));
    contender("eventsource-py", "eventsource-py, `DatabaseProjection`", started)
}

/// disintegrate on PostgreSQL, where the server is new enough for it.
pub(crate) fn disintegrate(
    runtime: &Runtime,
    client: &Client,
    address: &str,
    schema: &str,
) -> Option<Contender<'static>> {
    let ask = "SELECT current_setting('server_version_num')::int, current_setting('server_version')";
    let row = runtime.block_on(client.query_one(ask, &[])).expect("a server tells its version");
    let (number, version): (i32, &str) = (row.get(0), row.get(1));
    let started = if number < POSTGRES_16 {
        let needs = format!("its `event_store_begin_epoch` needs PostgreSQL 16, this is {version}");
        Err(io::Error::other(needs))
    } else {
        built("disintegrate_listener", Path::new(SCRATCH))
            .and_then(|mut program| Peer::start(program.args([&DISINTEGRATE.to_string(), address, schema])))
    };
    contender("disintegrate", "disintegrate, `PgEventListener`", started)
}

fn contender(name: &str, title: &str, started: io::Result<Peer>) -> Option<Contender<'static>> {
    let mut peer = started.inspect_err(|error| println!("skipped: {name}: {error}")).ok()?;
    Some(Contender::new(title, move || peer.ask("")))
}
