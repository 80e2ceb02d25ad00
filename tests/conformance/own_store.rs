//! A stranger's store passes the same suite.

use eventsource_runtime::event_store_suite;
use eventsource_tests::own_store::remote;

event_store_suite!(own_store, || async { remote() });
