//! The SQLSTATE of PostgreSQL, and its troubles.

use std::borrow::Cow;
use std::error::Error;

use tokio_postgres::error::DbError;

use crate::store::PostgresError;

pub(super) fn code(error: &(dyn Error + 'static)) -> Option<String> {
    PostgresError::reported(error)?.code().map(str::to_owned)
}

/// What `anyhow` puts around the driver's error is of no known type; the server's message within that one is.
pub(super) fn name(error: &(dyn Error + 'static)) -> Option<Cow<'static, str>> {
    let is_ours = error.is::<PostgresError>() || error.is::<tokio_postgres::Error>() || error.is::<DbError>();
    is_ours.then_some(Cow::Borrowed("PostgresError"))
}

pub(super) fn is_trouble(error: &(dyn Error + 'static)) -> bool {
    PostgresError::reported(error).is_some_and(|said| said.is_trouble())
}

/// Of the store's own statements alone: of others it is not known what they would have done before they failed.
pub(super) fn is_undone(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(|said: &PostgresError| !said.is_in_doubt())
}

pub(super) fn remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    match PostgresError::reported(error)?.code()? {
        "25006" => Some("this server takes no writes; wait for one in its place, or give the address of one that does"),
        "28000" | "28P01" => Some("give the store an account that the server accepts"),
        "42501" => Some("grant the store's role that right"),
        "53100" => Some("make room on the server's disk"),
        "53300" => Some("see who has the server's connections; lower `connections`, or raise its `max_connections`"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use tokio_postgres::{Error, NoTls};

    use crate::error::{BoxError, error_type, error_type_behind};
    use crate::store::{PostgresError, is_trouble};

    async fn connect(address: SocketAddr) -> Error {
        let config = format!("host={} port={} user=es", address.ip(), address.port());
        tokio_postgres::connect(&config, NoTls).await.err().expect("no server is there")
    }

    #[test]
    fn the_drivers_error_is_named_as_that_of_a_projections_step() {
        let misread = || "host=here port=none".parse::<tokio_postgres::Config>().unwrap_err();
        assert_eq!(error_type(&misread()), "PostgresError");
        assert_eq!(error_type(&PostgresError::from(misread())), "PostgresError");
        assert_eq!(error_type_behind::<Error>(&misread()), "PostgresError");
        assert_eq!(error_type_behind::<BoxError>(&misread()), "PostgresError");
    }

    /// Messages whose handlers have a client of their own were dead letters when their server was started again.
    #[tokio::test]
    async fn a_server_that_a_client_of_ones_own_has_lost_is_in_trouble() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hangs_up = std::thread::spawn(move || drop(listener.accept().unwrap()));
        let lost = connect(address).await;
        hangs_up.join().unwrap();
        let refused = connect(address).await;
        let misread = "host=here port=none".parse::<tokio_postgres::Config>().unwrap_err();
        assert!(is_trouble(&lost), "{lost:?}");
        assert!(is_trouble(&refused), "{refused:?}");
        assert!(!is_trouble(&misread), "{misread:?}");
    }
}
