//! How a body ended, as recorded on its span.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::ops::Deref;

use super::{Attributes, backend, guarded};
use crate::bus::HandlerError;
use crate::error::{error_type, error_type_behind, short_name};
use crate::projection::ProjectionError;

/// What a finished body records on its span.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The name of the failure, if it failed.
    pub error_type: Option<Cow<'static, str>>,
    /// The text of the failure, if somebody records that.
    pub error_text: Option<String>,
    /// Whether it is an error but no failure, as `fault` says: named, and neither a status nor logged.
    pub is_refusal: bool,
    /// What `record(..)` names.
    pub attributes: Attributes,
}

/// Determines what to record of a body's return value.
pub trait Teller<R: ?Sized> {
    /// Whether it never tells anything.
    const IS_SILENT: bool = false;

    /// Takes the name and the text of the failure, if it is one.
    fn tell(&mut self, returned: &R, outcome: &mut Outcome);
}

/// Chooses a teller for a type, whatever it is: of the methods of one name, the compiler first tries the one that takes
/// this itself, then that of a `&`, then that of a `&mut`, and then that of what it derefs to; so
/// `told::<R>().__es_by()` picks the most informative one. Its methods have names that no trait in the user's scope
/// has.
///
/// Tellers have no state, and functions that return the same type share what is compiled for them.
#[derive(Debug)]
pub struct Told<R: ?Sized>(PhantomData<fn(&R)>);

/// What is told of values of a type.
#[inline]
#[must_use]
pub const fn told<R: ?Sized>() -> Told<R> {
    Told(PhantomData)
}

/// What is told of a value whose type cannot be written.
#[inline]
#[must_use]
pub const fn told_of<R: ?Sized>(_: &R) -> Told<R> {
    told()
}

/// A type that is no `Result`.
#[derive(Clone, Copy, Debug)]
pub struct NoResult;

impl<R: ?Sized> Deref for Told<R> {
    type Target = NoResult;

    fn deref(&self) -> &NoResult {
        &NoResult
    }
}

/// An error that is more than its type's name. One impl of the method for all of these: with several, a type that is
/// wrong elsewhere would be ambiguous here.
impl<T, E: KnowsName> Told<Result<T, E>> {
    /// The teller.
    #[expect(clippy::unused_self, reason = "called as those of the traits are")]
    #[must_use]
    pub fn __es_by(self) -> E::By {
        E::BY
    }
}

/// An error that knows a name.
pub trait KnowsName {
    /// Its teller.
    type By;
    /// The teller.
    const BY: Self::By;
}

/// One that is no [`Error`].
impl KnowsName for HandlerError {
    type By = ByItself;
    const BY: ByItself = ByItself;
}

/// The same of a projection.
impl KnowsName for ProjectionError {
    type By = ByItself;
    const BY: ByItself = ByItself;
}

/// One that can be any: an `anyhow::Error`, an `eyre::Report`, a boxed one.
impl<E> KnowsName for E
where
    E: Debug + Display + Deref<Target = dyn Error + Send + Sync>,
{
    type By = ByCause;
    const BY: ByCause = ByCause;
}

/// A `Result`.
pub trait ToldResult: Sized {
    /// Its teller.
    type By;

    /// The teller.
    fn __es_by(self) -> Self::By;
}

/// Any other type.
pub trait ToldValue: Sized {
    /// The teller, which has nothing to tell.
    fn __es_by(self) -> NoResult {
        NoResult
    }
}

impl ToldValue for NoResult {}

impl<T, E: Debug + Display> ToldResult for Told<Result<T, E>> {
    type By = ByText;

    fn __es_by(self) -> ByText {
        ByText
    }
}

impl<T, E: Debug> ToldResult for &Told<Result<T, E>> {
    type By = ByName;

    fn __es_by(self) -> ByName {
        ByName
    }
}

impl<T, E> ToldResult for &mut Told<Result<T, E>> {
    type By = ByType;

    fn __es_by(self) -> ByType {
        ByType
    }
}

/// The name that an error has of itself, and its text if somebody records it.
#[derive(Clone, Copy, Debug)]
pub struct ByItself;

/// The name of an error or of what caused it, and its text if somebody records it.
#[derive(Clone, Copy, Debug)]
pub struct ByCause;

/// An error's name, and its text if somebody records it.
#[derive(Clone, Copy, Debug)]
pub struct ByText;

/// An error's name.
#[derive(Clone, Copy, Debug)]
pub struct ByName;

/// The name of the error's type: it has nothing else.
#[derive(Clone, Copy, Debug)]
pub struct ByType;

/// What a function with `fault` returns.
#[diagnostic::on_unimplemented(
    message = "`fault` is asked about an `Err`, and `{Self}` is no `Result`",
    label = "not a `Result`",
    note = "return a `Result`, or remove `fault`"
)]
pub trait Fallible<E> {
    /// The error, if it is one.
    fn __es_error(&self) -> Option<&E>;
}

#[diagnostic::do_not_recommend]
impl<T, E> Fallible<E> for Result<T, E> {
    fn __es_error(&self) -> Option<&E> {
        self.as_ref().err()
    }
}

/// What another teller tells, and whether that is a failure. Its type says nothing of errors: that a function returns
/// none is reported once, and not again where this is used.
#[derive(Debug)]
pub struct Faults<B, R, E> {
    by: B,
    error: fn(&R) -> Option<&E>,
    is_fault: fn(&E) -> bool,
}

/// What `by` tells of values of a type; as refusals, where they are errors of which `is_fault` does not say otherwise.
#[inline]
#[must_use]
pub fn faults<R: Fallible<E>, E, B>(_: Told<R>, by: B, is_fault: fn(&E) -> bool) -> Faults<B, R, E> {
    Faults { by, error: R::__es_error, is_fault }
}

/// What a closure finds out.
#[derive(Debug)]
pub struct By<F>(pub F);

impl<T> Teller<Result<T, HandlerError>> for ByItself {
    fn tell(&mut self, returned: &Result<T, HandlerError>, outcome: &mut Outcome) {
        if let Err(error) = returned {
            outcome.error_type = Some(Cow::Owned(error.error_type().to_owned()));
            outcome.error_text = backend::error_text_for_any(error);
        }
    }
}

impl<T> Teller<Result<T, ProjectionError>> for ByItself {
    fn tell(&mut self, returned: &Result<T, ProjectionError>, outcome: &mut Outcome) {
        if let Err(error) = returned {
            outcome.error_type = Some(Cow::Owned(error.error_type().to_owned()));
            outcome.error_text = backend::error_text_for_any(error);
        }
    }
}

impl<T, E> Teller<Result<T, E>> for ByCause
where
    E: Display + Deref<Target = dyn Error + Send + Sync>,
{
    fn tell(&mut self, returned: &Result<T, E>, outcome: &mut Outcome) {
        if let Err(error) = returned {
            outcome.error_type = Some(error_type_behind::<E>(&**error));
            outcome.error_text = backend::error_text_for_any(error);
        }
    }
}

impl<T, E: Debug + Display> Teller<Result<T, E>> for ByText {
    fn tell(&mut self, returned: &Result<T, E>, outcome: &mut Outcome) {
        if let Err(error) = returned {
            outcome.error_type = Some(error_type(error));
            outcome.error_text = backend::error_text_for_any(error);
        }
    }
}

impl<T, E: Debug> Teller<Result<T, E>> for ByName {
    fn tell(&mut self, returned: &Result<T, E>, outcome: &mut Outcome) {
        if let Err(error) = returned {
            outcome.error_type = Some(error_type(error));
        }
    }
}

impl<T, E> Teller<Result<T, E>> for ByType {
    fn tell(&mut self, returned: &Result<T, E>, outcome: &mut Outcome) {
        if returned.is_err() {
            outcome.error_type = Some(Cow::Borrowed(short_name::<E>()));
        }
    }
}

impl<R, E, B: Teller<R>> Teller<R> for Faults<B, R, E> {
    fn tell(&mut self, returned: &R, outcome: &mut Outcome) {
        let Some(error) = (self.error)(returned) else { return };
        self.by.tell(returned, outcome);
        // If it panics, nobody said that this is no failure.
        outcome.is_refusal = !guarded(|| (self.is_fault)(error)).unwrap_or(true);
    }
}

impl<R: ?Sized> Teller<R> for NoResult {
    const IS_SILENT: bool = true;

    fn tell(&mut self, _: &R, _: &mut Outcome) {}
}

impl<R: ?Sized, F: FnMut(&R, &mut Outcome)> Teller<R> for By<F> {
    fn tell(&mut self, returned: &R, outcome: &mut Outcome) {
        (self.0)(returned, outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::BoxError;

    struct Opaque;

    #[derive(Debug)]
    struct Refused;

    #[derive(Debug, thiserror::Error)]
    #[error("said")]
    struct Said;

    #[test]
    fn an_error_is_found_behind_any_type() {
        let mut outcome = Outcome::default();
        told::<Result<(), Refused>>().__es_by().tell(&Err::<(), _>(Refused), &mut outcome);
        assert_eq!(outcome.error_type.take().as_deref(), Some("Refused"));
        told::<Result<(), Opaque>>().__es_by().tell(&Err::<(), _>(Opaque), &mut outcome);
        assert_eq!(outcome.error_type.take().as_deref(), Some("Opaque"));
        told::<Result<(), Said>>().__es_by().tell(&Err::<(), _>(Said), &mut outcome);
        assert_eq!(outcome.error_type.take().as_deref(), Some("Said"));
        told::<Result<i32, Said>>().__es_by().tell(&Ok::<_, Said>(1), &mut outcome);
        told::<Result<i32, Refused>>().__es_by().tell(&Ok::<_, Refused>(1), &mut outcome);
        told::<Result<i32, Opaque>>().__es_by().tell(&Ok::<_, Opaque>(1), &mut outcome);
        told::<i32>().__es_by().tell(&7, &mut outcome);
        told::<str>().__es_by().tell("any", &mut outcome);
        assert_eq!(outcome.error_type, None);
        assert_eq!(outcome.error_text, None, "nobody records what errors say");
    }

    /// Both were called by their type, and hid what they know.
    #[test]
    fn an_error_that_can_be_any_is_told_by_its_own_name_or_that_of_a_cause() {
        fn name<E>(error: E, mut by: impl Teller<Result<(), E>>) -> Option<String> {
            let mut outcome = Outcome::default();
            by.tell(&Err(error), &mut outcome);
            outcome.error_type.map(Cow::into_owned)
        }
        let of_handler = told::<Result<(), HandlerError>>().__es_by();
        assert_eq!(name(HandlerError::from(Said), of_handler).as_deref(), Some("Said"));
        let of_step = told::<Result<(), ProjectionError>>().__es_by();
        assert_eq!(name(ProjectionError::from(Said), of_step).as_deref(), Some("Said"));
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let of_any = told::<Result<(), BoxError>>().__es_by();
        assert_eq!(name(BoxError::from(missing), of_any).as_deref(), Some("NotFound"));
    }

    #[test]
    fn an_error_that_is_no_fault_is_told_as_a_refusal() {
        let told_by = |is_fault: fn(&Opaque) -> bool| {
            let mut outcome = Outcome::default();
            let told = told::<Result<(), Opaque>>;
            faults(told(), told().__es_by(), is_fault).tell(&Err::<(), _>(Opaque), &mut outcome);
            (outcome.error_type.unwrap(), outcome.is_refusal)
        };
        assert_eq!(told_by(|_| false), ("Opaque".into(), true));
        assert_eq!(told_by(|_| true), ("Opaque".into(), false));
        assert_eq!(told_by(|_| panic!("in `fault`")), ("Opaque".into(), false));
    }
}
