fn fetch<'a>(&self, key: &'a str) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
    let _ = || {
        let _: &dyn ::core::ops::Fn() = &|| {
            ::eventsource_runtime::__private::check(&key);
        };
        let _: fn(
            &<Pin<
                Box<dyn Future<Output = Vec<u8>> + Send + 'a>,
            > as ::core::future::Future>::Output,
        ) = |__es_returned| {
            {
                let result = __es_returned;
                ::eventsource_runtime::__private::check(&result.len());
            }
        };
    };
    { todo!() }
}
