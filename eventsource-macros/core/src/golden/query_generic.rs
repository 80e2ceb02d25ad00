const _: () = {
    #[automatically_derived]
    impl<T: View, const N: usize> ::eventsource_runtime::Query for Newest<T, N>
    where
        Self: ::eventsource_runtime::__private::serde::de::DeserializeOwned
            + ::core::marker::Send + 'static,
    {
        const NAME: &'static ::core::primitive::str = "Newest";
        type Output = Vec<T>;
        type Error = ::core::convert::Infallible;
        fn result_count(
            __es_answer: &Vec<T>,
        ) -> ::core::option::Option<::core::primitive::usize> {
            use ::eventsource_runtime::__private::probe::list::*;
            (&&::eventsource_runtime::__private::Answer(__es_answer)).__es_count()
        }
        fn to_json(
            __es_answer: &Vec<T>,
        ) -> ::core::option::Option<
            ::eventsource_runtime::__private::serde_json::Result<
                ::eventsource_runtime::__private::serde_json::Value,
            >,
        > {
            use ::eventsource_runtime::__private::probe::json::*;
            (&&::eventsource_runtime::__private::Answer(__es_answer)).__es_json()
        }
    }
};
