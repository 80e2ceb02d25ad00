//! What is wrong with a broker's certificate.

use std::error::Error;
use std::io;

use lapin::ErrorKind;

/// Whether a connection failed because the broker's certificate is not trusted, or is for another host.
pub(super) fn are_refused(error: &lapin::Error) -> bool {
    let ErrorKind::IOError(error) = error.kind() else { return false };
    let mut cause = error.get_ref().map(|cause| cause as &(dyn Error + 'static));
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // Its source is that of the error it holds.
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|held| held as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    false
}
