impl<T: Sink> Counts<T> {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
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
    > ::eventsource_runtime::projection::Projection<__EsBackend> for Counts<T> {
        fn name(&self) -> &'static str {
            "Counts"
        }
        fn span_name(&self) -> &'static str {
            "projection.Counts"
        }
        fn event_types(&self) -> ::std::vec::Vec<&'static str> {
            ::eventsource_runtime::__private::event_types(const {
                ::eventsource_runtime::__private::distinct_handlers(const {
                    &[::eventsource_runtime::__private::follow::<OrderPlaced>().names()]
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
                if __es_follow.is(__es_stored) {
                    return <__EsBackend as ::eventsource_runtime::projection::AsyncBackend>::boxed(async move {
                        match __es_follow.decode(__es_stored) {
                            ::core::result::Result::Ok(__es_event) => {
                                __es_follow
                                    .handle_async(
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
