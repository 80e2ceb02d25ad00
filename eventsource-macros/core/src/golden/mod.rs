//! Expansions as they should read: for each macro the plain case, the generic case if there is one, and the full case.
//! `UPDATE_GOLDEN=1` rewrites the expected files; read them as code before they are committed.

use std::fs;
use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;

use crate::seeds::{AGGREGATE, COMMAND, EVENT, Expansion, QUERY, TRACED, TRACED_OFF};

/// Compares the expansion of an item, laid out as source, with the file of that name.
macro_rules! golden {
    ($name:literal $expand:path, ($($options:tt)*) $($item:tt)*) => {
        compare($name, $expand, &quote!($($options)*), &quote!($($item)*))
    };
}

fn compare(name: &str, expand: Expansion, options: &TokenStream, item: &TokenStream) {
    let expand = || expand(options.clone(), item.clone());
    assert_eq!(expand().to_string(), expand().to_string(), "the same input, and other tokens");
    let file: syn::File = syn::parse2(expand()).expect("an expansion is a list of items");
    let actual = prettyplease::unparse(&file);
    assert!(!actual.contains("::std::"), "`{name}` names `std`, which a crate may be without:\n{actual}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden").join(format!("{name}.rs"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &actual).expect("the golden files can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(actual == expected, "`{name}` expands to something else; compare with UPDATE_GOLDEN=1:\n{actual}");
}

#[test]
fn event() {
    golden! { "event_plain" EVENT, () struct OrderPlaced { customer: String } }
    golden! { "event_generic" EVENT, () struct Noted<T: Clone>(#[event(attribute = "note")] T); }
    golden! { "event_full" EVENT, ()
        #[event(name = "shipped", version = 3, alias("sent", "posted"), upcast(1 => from_v1, 2 => old::from_v2))]
        #[event(crate = facade::eventsource)]
        pub struct OrderShipped {
            #[event(attribute = "order.carrier")]
            pub carrier: String,
            #[event(attribute)]
            pub weight: Option<u32>,
            #[event(sensitive)]
            pub tracking: String,
        }
    }
}

#[test]
fn aggregate() {
    golden! { "aggregate_plain" AGGREGATE, () #[aggregate(id = Uuid, events(OrderPlaced))] struct Order; }
    golden! { "aggregate_full" AGGREGATE, ()
        #[aggregate(
            id = Uuid,
            error = OrderError,
            fault = OrderError::is_fault,
            events(OrderPlaced, shipping::OrderShipped),
            snapshot(every = 100, version = 2),
            name = "order",
            event = OrderFact,
            derive(Clone, Debug),
        )]
        pub(crate) struct Order { lines: Vec<Line> }
    }
}

#[test]
fn command() {
    golden! { "command_plain" COMMAND, ()
        #[command(aggregate = Order)]
        struct ShipOrder { #[command(id)] order_id: Uuid }
    }
    golden! { "command_generic" COMMAND, ()
        #[command(aggregate = Order)]
        struct TagOrder<T: Clone, const N: usize> where T: Tag {
            #[command(id)]
            order_id: Uuid,
            #[command(attribute = "order.tags")]
            tags: [T; N],
        }
    }
    golden! { "command_full" COMMAND, ()
        #[command(aggregate = Order, name = "ship", crate = facade)]
        struct ShipOrder<T>(#[command(id, attribute = "order.id")] Uuid, #[command(sensitive)] T);
    }
}

#[test]
fn query() {
    golden! { "query_plain" QUERY, ()
        #[query(output = Vec<OrderView>)]
        struct OrdersByStatus { #[query(attribute)] status: String }
    }
    golden! { "query_generic" QUERY, ()
        #[query(output = Vec<T>)]
        struct Newest<T: View, const N: usize> { of: PhantomData<T> }
    }
    golden! { "query_full" QUERY, ()
        #[query(output = Option<OrderView>, error = read::Refused, name = "find", crate = facade::eventsource)]
        pub struct FindOrder {
            #[query(attribute = "order.id")]
            pub order_id: Uuid,
            #[query(attribute)]
            pub depth: Option<u32>,
            #[query(sensitive)]
            pub token: String,
        }
    }
}

#[test]
fn handler() {
    golden! { "command_handler_plain" crate::command_handler, ()
        impl Order {
            fn place(&self, command: PlaceOrder) -> Result<OrderPlaced, OrderError> { todo!() }
        }
    }
    golden! { "command_handler_full" crate::command_handler, (crate = facade)
        impl Order {
            #[traced(attributes("order.lines" = command.lines.len(), "fixed" = 1), enable_tracing = self.on)]
            async fn place(&self, mut command: PlaceOrder, clock: &Clock) -> Decided<[OrderPlaced; 2]> {
                todo!()
            }

            #[cfg(feature = "shipping")]
            fn ship(&self, _: ShipOrder) -> Result<(), OrderError> { todo!() }
        }
    }
    golden! { "query_handler_plain" crate::query_handler, ()
        impl<S: Store> Queries<S> {
            #[traced(attributes(%query.status))]
            async fn by_status(&self, query: OrdersByStatus) -> io::Result<Vec<OrderView>> { todo!() }
        }
    }
    golden! { "query_handler_full" crate::query_handler, (crate = facade)
        impl<S> Queries<S>
        where
            S: Store,
        {
            /// Finds an order.
            #[traced(attributes("order.id" = query.order_id, "fixed" = 1), enable_tracing = self.on)]
            async fn find(&self, mut query: FindOrder) -> Result<Option<OrderView>, read::Refused> { todo!() }

            #[cfg(feature = "figures")]
            fn count(&self, CountOrders { status }: CountOrders) -> Result<u64, Infallible> { todo!() }
        }
    }
}

#[test]
fn projection() {
    golden! { "projection_plain" crate::projection, ()
        impl OrderReadModel {
            fn placed(&self, event: &Recorded<OrderPlaced>, tx: &SqliteTransaction<'_>) -> StepResult {
                todo!()
            }
        }
    }
    golden! { "projection_generic" crate::projection, ()
        impl<T: Sink> Counts<T> {
            async fn placed(&self, event: &Recorded<OrderPlaced>) { todo!() }
        }
    }
    golden! { "projection_full" crate::projection, (name = "orders", enable_tracing = self.traced, crate = facade)
        impl OrderReadModel {
            #[projection(setup)]
            async fn create(&self, tx: &PostgresTransaction<'_>) -> StepResult { todo!() }

            #[projection(reset)]
            fn clear(&self) {}

            #[traced("insert")]
            async fn placed(&self, event: &Recorded<OrderPlaced>, tx: &PostgresTransaction<'_>) -> StepResult {
                todo!()
            }

            fn shipped(&self, event: &Recorded<OrderShipped>) {}
        }
    }
}

#[test]
fn process_manager() {
    golden! { "process_manager_plain" crate::process_manager, ()
        impl Shipping {
            fn placed(&self, event: &Recorded<OrderPlaced>) -> TakePayment { todo!() }
        }
    }
    golden! { "process_manager_generic" crate::process_manager, ()
        impl<T: Goods> Shipping<T> {
            fn placed(&self, event: &Recorded<Placed<T>>) -> TakePayment { todo!() }
        }
    }
    golden! { "process_manager_full" crate::process_manager,
        (name = "shipping", enable_tracing = false, crate = facade)
        impl Shipping {
            fn placed(&self, event: &Recorded<OrderPlaced>) -> Reaction<Self> { todo!() }

            #[process_manager(id = event.order_id)]
            fn paid(&self, event: &Recorded<PaymentTaken>) -> ShipOrder { todo!() }

            fn refused(&self, payment: &Rejected<TakePayment>) -> CancelOrder { todo!() }
        }
    }
}

#[test]
fn traced() {
    golden! { "traced_plain" TRACED, () fn send() { work(); } }
    golden! { "traced_generic" TRACED, ("generic", attributes(?value))
        async fn send<'a, T: Debug, const N: usize>(value: &'a T) -> Result<[&'a T; N], impl Error>
        where
            T: Sync,
        {
            work(value)?
        }
    }
    for (name, expand) in [("traced_full", TRACED), ("traced_off", TRACED_OFF)] {
        let options = quote! {
            kind = "client",
            attributes("channel" = "email", "retries" = 3, recipient, "domain" = %recipient.domain(), text = ?&message),
            record("id" = result.as_ref().ok()),
            fault = is_fault,
            links = &message.cause,
            parent = message.context(),
            enable_tracing = self.on,
            crate = facade
        };
        let item = quote! {
            /// Sends.
            pub async fn send_email(&self, recipient: &Address, message: Message) -> Result<Id, io::Error> {
                self.work(message).await
            }
        };
        compare(name, expand, &options, &item);
    }
    golden! { "traced_async" TRACED, () async fn load(id: Id) -> Order { work(id).await } }
    golden! { "traced_never" TRACED, (root) async fn run(self) -> ! { loop {} } }
    golden! { "traced_opaque" TRACED, () fn all(&self) -> impl Iterator<Item = u8> { self.i() } }
    golden! { "traced_fault" TRACED, (fault = |error| !matches!(error, CardError::Declined))
        fn take(cents: u64) -> Result<(), CardError> { charge(cents) }
    }
}

#[test]
fn traced_otherwise() {
    for (name, expand) in [("traced_future", TRACED), ("traced_off_future", TRACED_OFF)] {
        let options = quote!(attributes(key), record("size" = result.len()));
        let item = quote! {
            fn fetch<'a>(&self, key: &'a str) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> { todo!() }
        };
        compare(name, expand, &options, &item);
    }
    golden! { "traced_held" TRACED, ()
        fn limit(most: usize) -> (usize, impl Fn(&str) -> bool) { (most, move |text| text.len() <= most) }
    }
    golden! { "traced_lent" TRACED, (record("count" = self.count)) fn count(&mut self) -> u32 { self.count + 1 } }
    golden! { "traced_ordered" TRACED, ()
        fn send(connection: Connection, message: Message) { work(&message, &connection); }
    }
    golden! { "traced_around" TRACED, (record("id" = message.id))
        fn send(connection: Connection, message: Message) { work(&message, &connection); }
    }
    golden! { "traced_stream" TRACED, () fn numbers() -> impl Stream<Item = Result<u8, Error>> { todo!() } }
}
