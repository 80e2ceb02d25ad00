impl<T: Goods> Shipping<T> {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    fn placed(&self, event: &Recorded<Placed<T>>) -> TakePayment {
        todo!()
    }
}
const _: () = {
    #[automatically_derived]
    impl<T: Goods> ::eventsource_runtime::dispatch::ProcessManager for Shipping<T> {
        fn name() -> &'static ::core::primitive::str {
            "Shipping"
        }
        fn span_name() -> &'static ::core::primitive::str {
            "process_manager.Shipping"
        }
        fn timer_name() -> &'static ::core::primitive::str {
            "process_timer.Shipping"
        }
        fn letters_name() -> &'static ::core::primitive::str {
            "process_letters.Shipping"
        }
        fn event_types() -> ::eventsource_runtime::__private::Vec<
            &'static ::core::primitive::str,
        > {
            ::eventsource_runtime::__private::event_types(const {
                ::eventsource_runtime::__private::distinct_handlers(const {
                    &[
                        ::eventsource_runtime::__private::Follow::names(
                            &::eventsource_runtime::__private::follow::<Placed<T>>(),
                        ),
                    ]
                })
            })
        }
        fn meet(
            __es_stored: &::eventsource_runtime::StoredEvent,
        ) -> ::core::result::Result<
            ::core::option::Option<::eventsource_runtime::dispatch::Met<Self>>,
            ::eventsource_runtime::projection::ProjectionError,
        > {
            {
                let __es_follow = ::eventsource_runtime::__private::follow::<
                    Placed<T>,
                >();
                if ::eventsource_runtime::__private::Follow::is(
                    &__es_follow,
                    __es_stored,
                ) {
                    let __es_event = ::eventsource_runtime::__private::Follow::decode(
                        &__es_follow,
                        __es_stored,
                    )?;
                    let __es_process = ::eventsource_runtime::__private::ToString::to_string(
                        ::eventsource_runtime::Recorded::aggregate_id(&__es_event),
                    );
                    return ::core::result::Result::Ok(
                        ::core::option::Option::Some(
                            ::eventsource_runtime::dispatch::Met::new(
                                __es_process,
                                move |__es_state: &Self| ::eventsource_runtime::dispatch::IntoReaction::<
                                    Self,
                                >::into_reaction(Self::placed(__es_state, &__es_event)),
                            ),
                        ),
                    );
                }
            }
            ::core::result::Result::Ok(::core::option::Option::None)
        }
        fn rejected(
            &self,
            __es_rejection: &::eventsource_runtime::dispatch::Rejection,
        ) -> ::core::result::Result<
            ::eventsource_runtime::dispatch::Reaction<Self>,
            ::eventsource_runtime::projection::ProjectionError,
        > {
            ::core::result::Result::Ok(::eventsource_runtime::dispatch::Reaction::new())
        }
    }
};
