impl OrderReadModel {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    fn placed(
        &self,
        event: &Recorded<OrderPlaced>,
        tx: &SqliteTransaction<'_>,
    ) -> StepResult {
        todo!()
    }
}
const _: () = {
    type __EsBackend = <SqliteTransaction<
        'static,
    > as ::eventsource_runtime::projection::Transaction>::Backend;
    const __ES_EVENTS: ::eventsource_runtime::__private::EventNames = ::eventsource_runtime::__private::distinct_handlers(
        &[
            ::eventsource_runtime::__private::Follow::names(
                &::eventsource_runtime::__private::follow::<OrderPlaced>(),
            ),
        ],
    );
    #[automatically_derived]
    impl ::eventsource_runtime::projection::Projection<__EsBackend> for OrderReadModel {
        fn name(&self) -> &'static ::core::primitive::str {
            "OrderReadModel"
        }
        fn span_name(&self) -> &'static ::core::primitive::str {
            "projection.OrderReadModel"
        }
        fn event_types(
            &self,
        ) -> ::eventsource_runtime::__private::Vec<&'static ::core::primitive::str> {
            ::eventsource_runtime::__private::event_types(__ES_EVENTS)
        }
        fn apply<'__es>(
            &'__es self,
            __es_stored: &'__es ::eventsource_runtime::StoredEvent,
            __es_tx: &'__es <__EsBackend as ::eventsource_runtime::projection::Backend>::Transaction<
                '_,
            >,
        ) -> <__EsBackend as ::eventsource_runtime::projection::Backend>::Step<'__es> {
            {
                let __es_follow = ::eventsource_runtime::__private::follow::<
                    OrderPlaced,
                >();
                if ::eventsource_runtime::__private::Follow::is(
                    &__es_follow,
                    __es_stored,
                ) {
                    return <__EsBackend as ::eventsource_runtime::projection::Backend>::ready(
                        match ::eventsource_runtime::__private::Follow::decode(
                            &__es_follow,
                            __es_stored,
                        ) {
                            ::core::result::Result::Ok(__es_event) => {
                                ::eventsource_runtime::__private::Follow::handle(
                                    &__es_follow,
                                    &__es_event,
                                    &::eventsource_runtime::__private::Handler {
                                        span: "handler.placed",
                                        method: "placed",
                                    },
                                    || Self::placed(self, &__es_event, __es_tx),
                                )
                            }
                            ::core::result::Result::Err(__es_error) => {
                                ::core::result::Result::Err(__es_error)
                            }
                        },
                    );
                }
            }
            <__EsBackend as ::eventsource_runtime::projection::Backend>::ready(
                ::core::result::Result::Ok(()),
            )
        }
    }
};
