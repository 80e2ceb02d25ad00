fn count(&mut self) -> u32 {
    static __ES_SITE: ::eventsource_runtime::__private::Site = ::eventsource_runtime::__private::Site::new(
        "count",
        ::eventsource_runtime::__private::Kind::Internal,
        &[],
        &[],
    );
    let __es_once = ::eventsource_runtime::__private::Once;
    let __es_call = move |__es_on: ::core::primitive::bool| -> _ {
        let _ = { __es_once };
        let __es_span = if __es_on {
            ::eventsource_runtime::__private::start(
                &__ES_SITE,
                ::core::option::Option::Some({ ::core::any::type_name::<Self> }),
                &mut (),
            )
        } else {
            ::core::option::Option::None
        };
        let _ = || {
            use ::eventsource_runtime::__private::probe::shown::*;
            ::eventsource_runtime::__private::may_be_seen::<
                _,
            >(
                ::eventsource_runtime::__private::Field::<
                    Self,
                    { ::eventsource_runtime::__private::field("count") },
                >::named()
                    .__es_shown(),
            );
        };
        let __es_body = ::eventsource_runtime::__private::once::<
            u32,
            _,
        >(|| -> _ { self.count + 1 });
        let __es_span = ::eventsource_runtime::__private::Running::new(__es_span);
        let __es_returned = __es_body();
        ::eventsource_runtime::__private::Running::record(
            &__es_span,
            &["count"],
            &mut ::eventsource_runtime::__private::ByPlace(|_, __es_slot| {
                let result = &__es_returned;
                ::eventsource_runtime::__private::Slot::record(__es_slot, &self.count);
            }),
        );
        let __es_by = {
            use ::eventsource_runtime::__private::probe::told::*;
            ::eventsource_runtime::__private::told_of(&__es_returned).__es_by()
        };
        ::eventsource_runtime::__private::Running::end(__es_span, __es_returned, __es_by)
    };
    if ::eventsource_runtime::__private::Site::may_be_on(&__ES_SITE) {
        ::eventsource_runtime::__private::apart(__es_call)
    } else {
        (__es_call)(false)
    }
}
