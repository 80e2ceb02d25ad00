//! The bus within the process.

mod schedules;

use eventsource_runtime::bus::{InProcessBus, InProcessOptions};
use eventsource_runtime::event_bus_suite;

event_bus_suite!(with_room, || async { InProcessBus::new() });
// Every publisher waits for its subscribers.
event_bus_suite!(without_room, || async { InProcessBus::with_options(InProcessOptions::default().capacity(1)) });
