impl<S> Queries<S>
where
    S: Store,
{
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    /// Finds an order.
    async fn find(
        &self,
        mut query: FindOrder,
    ) -> Result<Option<OrderView>, read::Refused> {
        todo!()
    }
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    #[cfg(feature = "figures")]
    fn count(&self, CountOrders { status }: CountOrders) -> Result<u64, Infallible> {
        todo!()
    }
}
const _: () = {
    #[automatically_derived]
    impl<S> facade::QueryHandlers for Queries<S>
    where
        S: Store,
        Self: ::core::marker::Send + ::core::marker::Sync + 'static,
    {
        fn register<__EsRegistry: facade::QueryRegistry<Self>>(
            __es_registry: &mut __EsRegistry,
        ) {
            <__EsRegistry as facade::QueryRegistry<
                Self,
            >>::query::<FindOrder>(__es_registry);
            #[cfg(feature = "figures")]
            <__EsRegistry as facade::QueryRegistry<
                Self,
            >>::query::<CountOrders>(__es_registry);
        }
    }
    #[automatically_derived]
    impl<S> facade::HandleQuery<FindOrder> for Queries<S>
    where
        S: Store,
        Self: ::core::marker::Send + ::core::marker::Sync + 'static,
    {
        fn enable_tracing(&self, query: &FindOrder) -> ::core::primitive::bool {
            let _ = (&query,);
            let __es_on: ::core::primitive::bool = self.on;
            __es_on
        }
        fn attributes(
            &self,
            query: &FindOrder,
            __es_attributes: &mut facade::__private::Attributes,
        ) {
            facade::__private::Attributes::each(
                __es_attributes,
                &["order.id", "fixed"],
                &mut facade::__private::ByPlace(|__es_place, __es_slot| match __es_place {
                    0 => facade::__private::Slot::record(__es_slot, &query.order_id),
                    _ => facade::__private::Slot::record(__es_slot, &1i64),
                }),
            );
            let _ = || {
                use facade::__private::probe::shown::*;
                facade::__private::may_be_seen::<
                    _,
                >(
                    facade::__private::Field::<
                        FindOrder,
                        { facade::__private::field("order_id") },
                    >::named()
                        .__es_shown(),
                );
            };
        }
        type Error = <Result<
            Option<OrderView>,
            read::Refused,
        > as facade::__private::Answers<<FindOrder as facade::Query>::Output>>::Error;
        async fn handle(
            &self,
            __es_query: FindOrder,
        ) -> ::core::result::Result<
            <FindOrder as facade::Query>::Output,
            <Self as facade::HandleQuery<FindOrder>>::Error,
        > {
            <Result<
                Option<OrderView>,
                read::Refused,
            > as facade::__private::Answers<
                <FindOrder as facade::Query>::Output,
            >>::answer(Self::find(self, __es_query).await)
        }
    }
    #[cfg(feature = "figures")]
    #[automatically_derived]
    impl<S> facade::HandleQuery<CountOrders> for Queries<S>
    where
        S: Store,
        Self: ::core::marker::Send + ::core::marker::Sync + 'static,
    {
        type Error = <Result<
            u64,
            Infallible,
        > as facade::__private::Answers<<CountOrders as facade::Query>::Output>>::Error;
        async fn handle(
            &self,
            __es_query: CountOrders,
        ) -> ::core::result::Result<
            <CountOrders as facade::Query>::Output,
            <Self as facade::HandleQuery<CountOrders>>::Error,
        > {
            <Result<
                u64,
                Infallible,
            > as facade::__private::Answers<
                <CountOrders as facade::Query>::Output,
            >>::answer(Self::count(self, __es_query))
        }
    }
};
