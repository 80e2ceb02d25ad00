//! An account: commands in, events stored, a projection out, and the trace of it all on stderr.
use eventsource_runtime::prelude::*;
use eventsource_runtime::store::{SqliteStore, SqliteTransaction};
use serde::{Deserialize, Serialize};
#[derive(Event, Serialize, Deserialize)]
struct Deposited {
    #[event(attribute = "account.cents")] // named, so it is recorded on spans, as the id is
    cents: u64,
}
#[derive(Aggregate, Default)]
#[aggregate(id = String, error = TooMuch, events(Deposited))]
struct Account {
    cents: u64,
}
impl Apply<Deposited> for Account {
    fn apply(&mut self, event: Deposited) {
        self.cents += event.cents;
    }
}
#[derive(Debug, thiserror::Error)]
#[error("an account holds at most 100000 cents")]
struct TooMuch;
#[derive(Command, Clone, Deserialize)]
#[command(aggregate = Account)]
struct Deposit {
    #[command(id)]
    account: String,
    cents: u64,
}
#[command_handler]
impl Account {
    fn deposit(&self, command: Deposit) -> Result<Deposited, TooMuch> {
        let fits = self.cents.checked_add(command.cents).is_some_and(|sum| sum <= 100_000);
        if fits { Ok(Deposited { cents: command.cents }) } else { Err(TooMuch) }
    }
}
struct Balances;
#[projection(enable_tracing = true)]
impl Balances {
    #[projection(setup)]
    fn create(&self, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        Ok(tx.execute_batch("CREATE TABLE balances (account PRIMARY KEY, cents)")?)
    }
    fn deposited(&self, event: &Recorded<Deposited>, tx: &SqliteTransaction<'_>) -> Result<(), ProjectionError> {
        let upsert = "INSERT INTO balances VALUES (?1, ?2) ON CONFLICT DO UPDATE SET cents = cents + excluded.cents";
        tx.execute(upsert, (event.aggregate_id(), event.cents))?;
        Ok(())
    }
}
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let telemetry = Telemetry::from_env("quickstart").console_without_endpoint().install()?;
    let store = SqliteStore::open(":memory:").await?;
    let commands = CommandBus::builder().aggregate(Repository::<Account, _>::new(store.clone())).build();
    let projections = ProjectionRunner::new(store).projection(Balances).spawn();
    let committed = commands.dispatch(Deposit { account: "ada".into(), cents: 500 }).await?;
    projections.wait_for(committed.position).await?;
    projections.shutdown().await?;
    Ok(telemetry.shutdown().await?) // flushes
}
