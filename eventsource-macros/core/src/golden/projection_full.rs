impl OrderReadModel {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    async fn create(&self, tx: &PostgresTransaction<'_>) -> StepResult {
        todo!()
    }
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    fn clear(&self) {}
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    #[traced("insert")]
    async fn placed(
        &self,
        event: &Recorded<OrderPlaced>,
        tx: &PostgresTransaction<'_>,
    ) -> StepResult {
        todo!()
    }
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    fn shipped(&self, event: &Recorded<OrderShipped>) {}
}
const _: () = {
    type __EsBackend = <PostgresTransaction<
        'static,
    > as facade::projection::Transaction>::Backend;
    const __ES_EVENTS: facade::__private::EventNames = facade::__private::distinct_handlers(
        &[
            facade::__private::Follow::names(
                &facade::__private::follow::<OrderPlaced>(),
            ),
            facade::__private::Follow::names(
                &facade::__private::follow::<OrderShipped>(),
            ),
        ],
    );
    #[automatically_derived]
    impl facade::projection::Projection<__EsBackend> for OrderReadModel {
        fn name(&self) -> &'static ::core::primitive::str {
            "orders"
        }
        fn span_name(&self) -> &'static ::core::primitive::str {
            "projection.orders"
        }
        fn enable_tracing(&self) -> ::core::option::Option<::core::primitive::bool> {
            let __es_on: ::core::primitive::bool = self.traced;
            ::core::option::Option::Some(__es_on)
        }
        fn event_types(
            &self,
        ) -> facade::__private::Vec<&'static ::core::primitive::str> {
            facade::__private::event_types(__ES_EVENTS)
        }
        fn setup<'__es>(
            &'__es self,
            __es_tx: &'__es <__EsBackend as facade::projection::Backend>::Transaction<'_>,
        ) -> <__EsBackend as facade::projection::Backend>::Step<'__es> {
            <__EsBackend as facade::projection::AsyncBackend>::boxed(async move {
                facade::__private::IntoStep::into_step(Self::create(self, __es_tx).await)
            })
        }
        fn reset<'__es>(
            &'__es self,
            _: &'__es <__EsBackend as facade::projection::Backend>::Transaction<'_>,
        ) -> <__EsBackend as facade::projection::Backend>::Step<'__es> {
            <__EsBackend as facade::projection::Backend>::ready(
                facade::__private::IntoStep::into_step(Self::clear(self)),
            )
        }
        fn apply<'__es>(
            &'__es self,
            __es_stored: &'__es facade::StoredEvent,
            __es_tx: &'__es <__EsBackend as facade::projection::Backend>::Transaction<'_>,
        ) -> <__EsBackend as facade::projection::Backend>::Step<'__es> {
            {
                let __es_follow = facade::__private::follow::<OrderPlaced>();
                if facade::__private::Follow::is(&__es_follow, __es_stored) {
                    return <__EsBackend as facade::projection::AsyncBackend>::boxed(async move {
                        match facade::__private::Follow::decode(
                            &__es_follow,
                            __es_stored,
                        ) {
                            ::core::result::Result::Ok(__es_event) => {
                                facade::__private::Follow::handle_async(
                                        &__es_follow,
                                        &__es_event,
                                        &facade::__private::Handler {
                                            span: "handler.placed",
                                            method: "placed",
                                        },
                                        Self::placed(self, &__es_event, __es_tx),
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
            {
                let __es_follow = facade::__private::follow::<OrderShipped>();
                if facade::__private::Follow::is(&__es_follow, __es_stored) {
                    return <__EsBackend as facade::projection::Backend>::ready(
                        match facade::__private::Follow::decode(
                            &__es_follow,
                            __es_stored,
                        ) {
                            ::core::result::Result::Ok(__es_event) => {
                                facade::__private::Follow::handle(
                                    &__es_follow,
                                    &__es_event,
                                    &facade::__private::Handler {
                                        span: "handler.shipped",
                                        method: "shipped",
                                    },
                                    || Self::shipped(self, &__es_event),
                                )
                            }
                            ::core::result::Result::Err(__es_error) => {
                                ::core::result::Result::Err(__es_error)
                            }
                        },
                    );
                }
            }
            <__EsBackend as facade::projection::Backend>::ready(
                ::core::result::Result::Ok(()),
            )
        }
    }
};
