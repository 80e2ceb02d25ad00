impl Shipping {
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    fn placed(&self, event: &Recorded<OrderPlaced>) -> Reaction<Self> {
        todo!()
    }
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    fn paid(&self, event: &Recorded<PaymentTaken>) -> ShipOrder {
        let _ = (&event,);
        todo!()
    }
    #[allow(
        clippy::needless_pass_by_value,
        clippy::unused_async,
        clippy::unused_self,
        clippy::unnecessary_wraps,
        clippy::trivially_copy_pass_by_ref,
    )]
    fn refused(&self, payment: &Rejected<TakePayment>) -> CancelOrder {
        todo!()
    }
}
const _: () = {
    const __ES_EVENTS: facade::__private::EventNames = facade::__private::distinct_handlers(
        &[
            facade::__private::Follow::names(
                &facade::__private::follow::<OrderPlaced>(),
            ),
            facade::__private::Follow::names(
                &facade::__private::follow::<PaymentTaken>(),
            ),
        ],
    );
    #[automatically_derived]
    impl facade::dispatch::ProcessManager for Shipping {
        fn name() -> &'static ::core::primitive::str {
            "shipping"
        }
        fn span_name() -> &'static ::core::primitive::str {
            "process_manager.shipping"
        }
        fn timer_name() -> &'static ::core::primitive::str {
            "process_timer.shipping"
        }
        fn letters_name() -> &'static ::core::primitive::str {
            "process_letters.shipping"
        }
        fn enable_tracing() -> ::core::option::Option<::core::primitive::bool> {
            let __es_on: ::core::primitive::bool = false;
            ::core::option::Option::Some(__es_on)
        }
        fn event_types() -> facade::__private::Vec<&'static ::core::primitive::str> {
            facade::__private::event_types(__ES_EVENTS)
        }
        fn meet(
            __es_stored: &facade::StoredEvent,
        ) -> ::core::result::Result<
            ::core::option::Option<facade::dispatch::Met<Self>>,
            facade::projection::ProjectionError,
        > {
            {
                let __es_follow = facade::__private::follow::<OrderPlaced>();
                if facade::__private::Follow::is(&__es_follow, __es_stored) {
                    let __es_event = facade::__private::Follow::decode(
                        &__es_follow,
                        __es_stored,
                    )?;
                    let __es_process = facade::__private::ToString::to_string(
                        facade::Recorded::aggregate_id(&__es_event),
                    );
                    return ::core::result::Result::Ok(
                        ::core::option::Option::Some(
                            facade::dispatch::Met::new(
                                __es_process,
                                move |__es_state: &Self| facade::dispatch::IntoReaction::<
                                    Self,
                                >::into_reaction(Self::placed(__es_state, &__es_event)),
                            ),
                        ),
                    );
                }
            }
            {
                let __es_follow = facade::__private::follow::<PaymentTaken>();
                if facade::__private::Follow::is(&__es_follow, __es_stored) {
                    let __es_event = facade::__private::Follow::decode(
                        &__es_follow,
                        __es_stored,
                    )?;
                    let __es_process = {
                        let event = &__es_event;
                        facade::__private::ToString::to_string(
                            match &&event.order_id {
                                __es_value => {
                                    if false {
                                        use facade::__private::probe::shown::*;
                                        facade::__private::may_be_seen::<
                                            _,
                                        >((&&&&&__es_value.__es_whole()).__es_shown());
                                    }
                                    __es_value
                                }
                            },
                        )
                    };
                    let _ = || {
                        use facade::__private::probe::shown::*;
                        facade::__private::may_be_seen::<
                            _,
                        >(
                            facade::__private::Field::<
                                PaymentTaken,
                                { facade::__private::field("order_id") },
                            >::named()
                                .__es_shown(),
                        );
                    };
                    return ::core::result::Result::Ok(
                        ::core::option::Option::Some(
                            facade::dispatch::Met::new(
                                __es_process,
                                move |__es_state: &Self| facade::dispatch::IntoReaction::<
                                    Self,
                                >::into_reaction(Self::paid(__es_state, &__es_event)),
                            ),
                        ),
                    );
                }
            }
            ::core::result::Result::Ok(::core::option::Option::None)
        }
        fn rejected(
            &self,
            __es_rejection: &facade::dispatch::Rejection,
        ) -> ::core::result::Result<
            facade::dispatch::Reaction<Self>,
            facade::projection::ProjectionError,
        > {
            if facade::dispatch::Rejection::is::<TakePayment>(__es_rejection) {
                let __es_command = facade::dispatch::Rejection::decode::<
                    TakePayment,
                >(__es_rejection)?;
                return facade::dispatch::IntoReaction::<
                    Self,
                >::into_reaction(Self::refused(self, &__es_command));
            }
            ::core::result::Result::Ok(facade::dispatch::Reaction::new())
        }
    }
};
