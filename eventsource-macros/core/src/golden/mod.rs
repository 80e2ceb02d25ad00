//! Expansions as they should read: for each macro the plain case, the generic case if there is one, and the full case.
//! `UPDATE_GOLDEN=1` rewrites the expected files; read them as code before they are committed.

use std::fs;
use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;

use crate::Instrumentation;

/// Compares an expansion, laid out as source, with the file of that name.
fn compare(name: &str, expansion: TokenStream) {
    let file: syn::File = syn::parse2(expansion).expect("an expansion is a list of items");
    let actual = prettyplease::unparse(&file);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/golden").join(format!("{name}.rs"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &actual).expect("the golden files can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(actual == expected, "`{name}` expands to something else; compare with UPDATE_GOLDEN=1:\n{actual}");
}

/// The same input gives the same tokens.
fn compare_twice(name: &str, expand: impl Fn() -> TokenStream) {
    assert_eq!(expand().to_string(), expand().to_string());
    compare(name, expand());
}

#[test]
fn event() {
    compare_twice("event_plain", || {
        crate::event(quote!(
            struct OrderPlaced {
                customer: String,
            }
        ))
    });
    compare_twice("event_generic", || {
        crate::event(quote!(
            struct Noted<T: Clone>(#[event(attribute = "note")] T);
        ))
    });
    compare_twice("event_full", || {
        crate::event(quote! {
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
        })
    });
}

#[test]
fn aggregate() {
    compare_twice("aggregate_plain", || {
        crate::aggregate(quote! {
            #[aggregate(id = Uuid, events(OrderPlaced))]
            struct Order;
        })
    });
    compare_twice("aggregate_full", || {
        crate::aggregate(quote! {
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
        })
    });
}

#[test]
fn message() {
    compare_twice("command_plain", || {
        crate::command(quote! {
            #[command(aggregate = Order)]
            struct ShipOrder { #[command(id)] order_id: Uuid }
        })
    });
    compare_twice("command_generic", || {
        crate::command(quote! {
            #[command(aggregate = Order)]
            struct TagOrder<T: Clone, const N: usize> where T: Tag {
                #[command(id)]
                order_id: Uuid,
                #[command(attribute = "order.tags")]
                tags: [T; N],
            }
        })
    });
    compare_twice("command_full", || {
        crate::command(quote! {
            #[command(aggregate = Order, name = "ship", crate = facade)]
            struct ShipOrder<T>(#[command(id, attribute = "order.id")] Uuid, #[command(sensitive)] T);
        })
    });
    compare_twice("query_plain", || {
        crate::query(quote! {
            #[query(output = Vec<OrderView>)]
            struct OrdersByStatus { #[query(attribute)] status: String }
        })
    });
    compare_twice("query_generic", || {
        crate::query(quote! {
            #[query(output = Vec<T>)]
            struct Newest<T: View, const N: usize> { of: PhantomData<T> }
        })
    });
    compare_twice("query_full", || {
        crate::query(quote! {
            #[query(output = Option<OrderView>, error = read::Refused, name = "find", crate = facade::eventsource)]
            pub struct FindOrder {
                #[query(attribute = "order.id")]
                pub order_id: Uuid,
                #[query(attribute)]
                pub depth: Option<u32>,
                #[query(sensitive)]
                pub token: String,
            }
        })
    });
}

#[test]
fn handler() {
    compare_twice("command_handler_plain", || {
        crate::command_handler(
            quote!(),
            quote! {
                impl Order {
                    fn place(&self, command: PlaceOrder) -> Result<OrderPlaced, OrderError> { todo!() }
                }
            },
        )
    });
    compare_twice("command_handler_full", || {
        crate::command_handler(
            quote!(crate = facade),
            quote! {
                impl Order {
                    #[traced(attributes("order.lines" = command.lines.len(), "fixed" = 1), enable_tracing = self.on)]
                    async fn place(&self, mut command: PlaceOrder, clock: &Clock) -> Decided<[OrderPlaced; 2]> {
                        todo!()
                    }

                    #[cfg(feature = "shipping")]
                    fn ship(&self, _: ShipOrder) -> Result<(), OrderError> { todo!() }
                }
            },
        )
    });
    compare_twice("query_handler_plain", || {
        crate::query_handler(
            quote!(),
            quote! {
                impl<S: Store> Queries<S> {
                    #[traced(attributes(%query.status))]
                    async fn by_status(&self, query: OrdersByStatus) -> io::Result<Vec<OrderView>> { todo!() }
                }
            },
        )
    });
    compare_twice("query_handler_full", || {
        crate::query_handler(
            quote!(crate = facade),
            quote! {
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
            },
        )
    });
}

#[test]
fn projection() {
    compare_twice("projection_plain", || {
        crate::projection(
            quote!(),
            quote! {
                impl OrderReadModel {
                    fn placed(&self, event: &Recorded<OrderPlaced>, tx: &SqliteTransaction<'_>) -> StepResult {
                        todo!()
                    }
                }
            },
        )
    });
    compare_twice("projection_generic", || {
        crate::projection(
            quote!(),
            quote! {
                impl<T: Sink> Counts<T> {
                    async fn placed(&self, event: &Recorded<OrderPlaced>) { todo!() }
                }
            },
        )
    });
    compare_twice("projection_full", || {
        crate::projection(
            quote!(name = "orders", enable_tracing = self.traced, crate = facade),
            quote! {
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
            },
        )
    });
}

#[test]
fn process_manager() {
    let plain = |item| crate::process_manager(quote!(), item);
    compare_twice("process_manager_plain", || {
        plain(quote! {
            impl Shipping {
                fn placed(&self, event: &Recorded<OrderPlaced>) -> TakePayment { todo!() }
            }
        })
    });
    compare_twice("process_manager_generic", || {
        plain(quote! {
            impl<T: Goods> Shipping<T> {
                fn placed(&self, event: &Recorded<Placed<T>>) -> TakePayment { todo!() }
            }
        })
    });
    compare_twice("process_manager_full", || {
        crate::process_manager(
            quote!(name = "shipping", enable_tracing = false, crate = facade),
            quote! {
                impl Shipping {
                    fn placed(&self, event: &Recorded<OrderPlaced>) -> Reaction<Self> { todo!() }

                    #[process_manager(id = event.order_id)]
                    fn paid(&self, event: &Recorded<PaymentTaken>) -> ShipOrder { todo!() }

                    fn refused(&self, payment: &Rejected<TakePayment>) -> CancelOrder { todo!() }
                }
            },
        )
    });
}

#[test]
fn traced_otherwise() {
    let traced = |options, item| crate::traced(Instrumentation::On, options, item);
    let options = quote!(attributes(key), record("size" = result.len()));
    let item = quote! {
        fn fetch<'a>(&self, key: &'a str) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> { todo!() }
    };
    compare_twice("traced_future", || traced(options.clone(), item.clone()));
    compare_twice("traced_off_future", || crate::traced(Instrumentation::Off, options.clone(), item.clone()));
    let item = quote! { async fn load(id: Id) -> Order { work(id).await } };
    compare_twice("traced_async", || traced(quote!(), item.clone()));
    let options = quote!(fault = |error| !matches!(error, CardError::Declined));
    let item = quote! { fn take(cents: u64) -> Result<(), CardError> { charge(cents) } };
    compare_twice("traced_fault", || traced(options.clone(), item.clone()));
    compare_twice("traced_held", || {
        traced(
            quote!(),
            quote!(
                fn limit(most: usize) -> (usize, impl Fn(&str) -> bool) {
                    (most, move |text| text.len() <= most)
                }
            ),
        )
    });
    compare_twice("traced_lent", || {
        traced(
            quote!(record("count" = self.count)),
            quote!(
                fn count(&mut self) -> u32 {
                    self.count + 1
                }
            ),
        )
    });
    let ordered = quote!(
        fn send(connection: Connection, message: Message) {
            work(&message, &connection);
        }
    );
    compare_twice("traced_ordered", || traced(quote!(), ordered.clone()));
    compare_twice("traced_around", || traced(quote!(record("id" = message.id)), ordered.clone()));
    compare_twice("traced_stream", || {
        traced(
            quote!(),
            quote!(
                fn numbers() -> impl Stream<Item = Result<u8, Error>> {
                    todo!()
                }
            ),
        )
    });
}

#[test]
fn traced() {
    let traced = |options, item| crate::traced(Instrumentation::On, options, item);
    compare_twice("traced_plain", || {
        traced(
            quote!(),
            quote!(
                fn send() {
                    work();
                }
            ),
        )
    });
    compare_twice("traced_generic", || {
        traced(
            quote!("generic", attributes(?value)),
            quote! {
                async fn send<'a, T: Debug, const N: usize>(value: &'a T) -> Result<[&'a T; N], impl Error>
                where
                    T: Sync,
                {
                    work(value)?
                }
            },
        )
    });
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
    compare_twice("traced_full", || traced(options.clone(), item.clone()));
    compare_twice("traced_off", || crate::traced(Instrumentation::Off, options.clone(), item.clone()));
    compare_twice("traced_never", || {
        traced(
            quote!(root),
            quote!(
                async fn run(self) -> ! {
                    loop {}
                }
            ),
        )
    });
    compare_twice("traced_opaque", || {
        traced(
            quote!(),
            quote!(
                fn all(&self) -> impl Iterator<Item = u8> {
                    self.i()
                }
            ),
        )
    });
}
