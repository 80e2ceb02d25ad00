//! A stranger's bus passes the same suite.

use eventsource_runtime::event_bus_suite;
use eventsource_tests::own_bus::{remote, routing};

event_bus_suite!(with_partitions, || async { remote() });
event_bus_suite!(with_routing_keys, || async { routing() });
