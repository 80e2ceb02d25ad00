//! How a failed span of ours ends, and what its error says if a set-up records that.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display};

use super::attributes::{PANICKED, bounded};
use super::log::Failed;
use super::{Outcome, Span, backend, guarded, log};

impl Span {
    /// Logs a failure in the span, under the component's target, and ends the span with status Error.
    pub(crate) fn fail(self, failed: Failed<'_>, error_type: impl Into<Cow<'static, str>>, error: &dyn Display) {
        self.fail_logged(error_type.into(), error, |error_type, text| log::failure(failed, error_type, text));
    }

    /// The same for an append that found another one before it: no trouble, since whoever made it decides again or is
    /// told, and so no error in the log.
    pub(crate) fn conflict(self, target: &'static str, error_type: &'static str, error: &dyn Display) {
        self.fail_logged(error_type.into(), error, |error_type, text| log::conflict(target, error_type, text));
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

/// The text of an error, within the limits of an attribute.
pub(super) fn shown(error: &dyn Display) -> String {
    guarded(|| bounded(format_args!("{error}")).0).unwrap_or_else(|| PANICKED.to_owned())
}

/// The text of an error and, after colons, of its causes: errors of ours do not repeat these.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        std::iter::successors(self.0.source(), |&cause| cause.source()).try_for_each(|cause| write!(f, ": {cause}"))
    }
}
