//! How a failed span of ours ends, and what its error says if a set-up records that.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Write};

use super::attributes::{PANICKED, bounded};
use super::log::Failed;
use super::{Outcome, Span, backend, guarded, log};
use crate::store::{status_code, unreadable};

impl Span {
    /// Logs a failure in the span, under the component's target, and ends the span with status Error.
    pub(crate) fn fail(self, failed: Failed<'_>, error_type: impl Into<Cow<'static, str>>, error: &Chain<'_>) {
        let code = guarded(|| status_code(error.0)).flatten();
        let unread = guarded(|| unreadable(error.0)).flatten();
        let failed = Failed { code: code.as_deref(), unread, ..failed };
        self.fail_logged(error_type.into(), error, |error_type, text| log::failure(failed, error_type, text));
    }

    /// The same for an append that found another one before it: no trouble, since whoever made it decides again or is
    /// told, and so no error in the log.
    pub(crate) fn conflict(self, target: &'static str, error_type: &'static str, error: &dyn Display) {
        self.fail_logged(error_type.into(), error, |error_type, text| log::conflict(target, error_type, text));
    }

    /// The same where another log event tells of it: that of whoever tries again, less and less often, or that of a
    /// lease that another runner took.
    pub(crate) fn fail_unlogged(self, error_type: impl Into<Cow<'static, str>>, error: &Chain<'_>) {
        self.fail_logged(error_type.into(), error, |_, _| ());
    }

    fn fail_logged(self, error_type: Cow<'static, str>, error: &dyn Display, log: impl FnOnce(&str, Option<&str>)) {
        let error_text = self.in_scope(|| {
            let text = error_text(error);
            log(&error_type, text.as_deref());
            text
        });
        self.finish(Outcome { error_type: Some(error_type), error_text, ..Outcome::default() });
    }

    /// The same with a description that is ours, and no error of the user's.
    pub(crate) fn fail_saying(
        self,
        failed: Failed<'_>,
        error_type: impl Into<Cow<'static, str>>,
        description: Option<String>,
    ) {
        let error_type = error_type.into();
        self.in_scope(|| log::failure(failed, &error_type, None));
        self.finish(Outcome { error_type: Some(error_type), error_text: description, ..Outcome::default() });
    }
}

/// The text of an error, if the set-up of the code that runs here records it.
pub(crate) fn error_text(error: &dyn Display) -> Option<String> {
    backend::records_error_text().then(|| shown(error))
}

/// The text of an error or an id, within the limits of an attribute.
pub(crate) fn shown(said: &dyn Display) -> String {
    guarded(|| bounded(format_args!("{said}")).0).unwrap_or_else(|| PANICKED.to_owned())
}

/// The text of an error and, after colons, of its causes, unless a cause repeats it: a failed command says what its
/// store says.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut said = self.0;
        while let Some(cause) = said.source() {
            if !repeats(cause, said) {
                write!(f, ": {cause}")?;
            }
            said = cause;
        }
        Ok(())
    }
}

/// Whether a cause says what was said already.
fn repeats(cause: &dyn Error, said: &dyn Error) -> bool {
    let said = said.to_string();
    let mut rest = Rest(&said);
    write!(rest, "{cause}").is_ok() && rest.0.is_empty()
}

/// What is left of a text, as long as the same is written; a longer text is not formatted to its end.
struct Rest<'a>(&'a str);

impl Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::DispatchJsonError;
    use crate::store::StoreError;

    #[test]
    fn a_cause_that_repeats_the_error_is_left_out() {
        let failed = || StoreError::backend("load a stream", "nobody is there");
        let said = "the store failed while it tried to load a stream: nobody is there";
        assert_eq!(Chain(&failed()).to_string(), said);
        assert_eq!(Chain(&DispatchJsonError::Load(failed())).to_string(), said);
        assert_eq!(Chain(&DispatchJsonError::Append(failed().into())).to_string(), said);
        let other = StoreError::backend("load a stream", "the store failed while it tried to load");
        assert_eq!(Chain(&other).to_string(), format!("{other}: the store failed while it tried to load"));
    }
}
