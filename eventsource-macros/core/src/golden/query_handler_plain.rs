impl<S: Store> Queries<S> {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    async fn by_status(&self, query: OrdersByStatus) -> io::Result<Vec<OrderView>> {
        todo!()
    }
}
const _: () = {
    #[automatically_derived]
    impl<S: Store> ::eventsource_runtime::QueryHandlers for Queries<S>
    where
        Self: ::core::marker::Send + ::core::marker::Sync + 'static,
    {
        fn register<__EsRegistry: ::eventsource_runtime::QueryRegistry<Self>>(
            __es_registry: &mut __EsRegistry,
        ) {
            <__EsRegistry as ::eventsource_runtime::QueryRegistry<
                Self,
            >>::query::<OrdersByStatus>(__es_registry);
        }
    }
    #[automatically_derived]
    impl<S: Store> ::eventsource_runtime::HandleQuery<OrdersByStatus> for Queries<S>
    where
        Self: ::core::marker::Send + ::core::marker::Sync + 'static,
    {
        fn attributes(
            &self,
            query: &OrdersByStatus,
            __es_attributes: &mut ::eventsource_runtime::__private::Attributes,
        ) {
            ::eventsource_runtime::__private::Attributes::each(
                __es_attributes,
                &["query.status"],
                &mut ::eventsource_runtime::__private::ByPlace(|_, __es_slot| ::eventsource_runtime::__private::Slot::display(
                    __es_slot,
                    match &&query.status {
                        __es_value => {
                            if false {
                                use ::eventsource_runtime::__private::probe::shown::*;
                                ::eventsource_runtime::__private::may_be_seen::<
                                    _,
                                >((&&&&&__es_value.__es_whole()).__es_shown());
                            }
                            __es_value
                        }
                    },
                )),
            );
            let _ = || {
                use ::eventsource_runtime::__private::probe::shown::*;
                ::eventsource_runtime::__private::may_be_seen::<
                    _,
                >(
                    ::eventsource_runtime::__private::Field::<
                        OrdersByStatus,
                        { ::eventsource_runtime::__private::field("status") },
                    >::named()
                        .__es_shown(),
                );
            };
        }
        type Error = <io::Result<
            Vec<OrderView>,
        > as ::eventsource_runtime::__private::Answers<
            <OrdersByStatus as ::eventsource_runtime::Query>::Output,
        >>::Error;
        async fn handle(
            &self,
            __es_query: OrdersByStatus,
        ) -> ::core::result::Result<
            <OrdersByStatus as ::eventsource_runtime::Query>::Output,
            <Self as ::eventsource_runtime::HandleQuery<OrdersByStatus>>::Error,
        > {
            <io::Result<
                Vec<OrderView>,
            > as ::eventsource_runtime::__private::Answers<
                <OrdersByStatus as ::eventsource_runtime::Query>::Output,
            >>::answer(Self::by_status(self, __es_query).await)
        }
    }
};
