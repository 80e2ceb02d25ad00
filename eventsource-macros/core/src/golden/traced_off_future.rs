fn fetch<'a>(&self, key: &'a str) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'a>> {
    let _ = || {
        ::eventsource_runtime::__private::check(&key);
    };
    let _ = |
        result: &<Pin<
            Box<dyn Future<Output = Vec<u8>> + Send + 'a>,
        > as ::core::future::Future>::Output|
    {
        ::eventsource_runtime::__private::check(&result.len());
    };
    { todo!() }
}
