impl<T: Sink> Counts<T> {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    async fn placed(&self, event: &Recorded<OrderPlaced>) {
        todo!()
    }
}
const _: () = {
    #[automatically_derived]
    impl<
        T: Sink,
        __EsBackend: ::eventsource_runtime::projection::AsyncBackend,
    > ::eventsource_runtime::projection::Projection<__EsBackend> for Counts<T>
    where
        Self: ::core::marker::Send + ::core::marker::Sync + 'static,
    {
        fn name(&self) -> &'static ::core::primitive::str {
            "Counts"
        }
        fn span_name(&self) -> &'static ::core::primitive::str {
            "projection.Counts"
        }
        fn event_types(
            &self,
        ) -> ::eventsource_runtime::__private::Vec<&'static ::core::primitive::str> {
            ::eventsource_runtime::__private::event_types(const {
                ::eventsource_runtime::__private::distinct_handlers(const {
                    &[
                        ::eventsource_runtime::__private::Follow::names(
                            &::eventsource_runtime::__private::follow::<OrderPlaced>(),
                        ),
                    ]
                })
            })
        }
        fn apply<'__es>(
            &'__es self,
            __es_stored: &'__es ::eventsource_runtime::StoredEvent,
            _: &'__es <__EsBackend as ::eventsource_runtime::projection::Backend>::Transaction<
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
                    return <__EsBackend as ::eventsource_runtime::projection::AsyncBackend>::boxed(async move {
                        match ::eventsource_runtime::__private::Follow::decode(
                            &__es_follow,
                            __es_stored,
                        ) {
                            ::core::result::Result::Ok(__es_event) => {
                                ::eventsource_runtime::__private::Follow::handle_async(
                                        &__es_follow,
                                        &__es_event,
                                        &::eventsource_runtime::__private::Handler {
                                            span: "handler.placed",
                                            method: "placed",
                                        },
                                        Self::placed(self, &__es_event),
                                    )
                                    .await
                            }
                            ::core::result::Result::Err(__es_error) => {
                                ::core::result::Result::Err(__es_error)
                            }
                        }
                    });
                }
            }
            <__EsBackend as ::eventsource_runtime::projection::Backend>::ready(
                ::core::result::Result::Ok(()),
            )
        }
    }
};
