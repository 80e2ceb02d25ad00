fn fetch<'a>(&self, key: &'a str) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
    let _ = || {
        let _: &mut dyn ::core::ops::FnMut() = &mut || {
            ::eventsource_runtime::__private::check(&key);
        };
        let _: fn(
            &<Pin<
                Box<dyn Future<Output = Vec<u8>> + Send + 'a>,
            > as ::core::future::Future>::Output,
        ) = |result| {
            ::eventsource_runtime::__private::check(&result.len());
        };
    };
    { todo!() }
}
