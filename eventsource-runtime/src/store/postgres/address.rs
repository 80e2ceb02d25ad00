//! The server's address, as a URL gives it.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};

use super::{PostgresError, PostgresOptions};

/// How long a connection may be silent before a keepalive is sent, and how long sent data may stay unacknowledged: this
/// bounds the time that a call waits for a machine that has gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the answer to a keepalive may take: the system would look whether it has come after more than a minute.
const ANSWER: Duration = Duration::from_secs(10);

/// Reads an address. The error quotes nothing of it, since a mistyped one may contain the password anywhere.
pub(super) fn parse(url: &str, options: &PostgresOptions) -> Result<Config, PostgresError> {
    // The driver does not know these words; with TLS the certificate and its name are always verified.
    let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
    let mut config: Config = url.parse().map_err(|_| {
        PostgresError::new(
            "the address cannot be read; write postgres://user:password@host:5432/database, with reserved characters \
             as %-codes and no options but those of tokio-postgres",
        )
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(PostgresError::new("the address names no host; write postgres://user:password@host:5432/database"));
    }
    // The driver would use TLS whenever a server offers it, and then verify: whether an address works would depend on
    // whether some crate of the program asked for the feature. An address that begins with TLS is never plain.
    if config.get_ssl_mode() == SslMode::Prefer {
        if says_prefer(&url) {
            return Err(PostgresError::new(
                "with sslmode=prefer the server would choose whether the connection is encrypted; \
                 write sslmode=require, or sslmode=disable",
            ));
        }
        let begins_with_tls = config.get_ssl_negotiation() == SslNegotiation::Direct;
        config.ssl_mode(if begins_with_tls { SslMode::Require } else { SslMode::Disable });
    }
    if config.get_application_name().is_none() {
        config.application_name("eventsource");
    }
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
    if config.get_connect_timeout().is_none() {
        // It is for each host: if there are several, a silent one must leave time for the others.
        let shares = if hosts > 1 { hosts + 1 } else { 1 };
        config.connect_timeout(options.connect_timeout / u32::try_from(shares).unwrap_or(u32::MAX));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    // The driver's own value is longer than anybody waits.
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(SILENCE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(ANSWER);
    }
    // Of several servers one takes writes. The others may lag behind, and a caller connected to one of those could not
    // append for as long as it does not. A lone server is the right one even while it takes no writes: it is read, and
    // connected to before it takes them again.
    if hosts > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    Ok(config)
}

/// Whether an address that the driver reads as `sslmode=prefer` says so. It is also the driver's default, which stays
/// if another word replaces this one.
fn says_prefer(url: &str) -> bool {
    let other = url.replace("prefer", "disable").parse::<Config>();
    !other.is_ok_and(|config| config.get_ssl_mode() == SslMode::Prefer)
}

/// What telemetry may know of the address: the first host and its port.
pub(super) fn server(config: &Config) -> Option<(Arc<str>, u16)> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let named = config.get_hosts().first().map(|host| match host {
        Host::Tcp(name) => Arc::from(name.as_str()),
        #[cfg(unix)]
        Host::Unix(path) => Arc::from(&*path.to_string_lossy()),
    });
    let numbered = || config.get_hostaddrs().first().map(|address| Arc::from(address.to_string()));
    Some((named.or_else(numbered)?, port))
}

/// The database and the schema in it, as the semantic conventions write them.
pub(super) fn namespace(config: &Config, schema: &str) -> Option<Arc<str>> {
    // If none is given it is the user's name.
    let database = config.get_dbname().or(config.get_user())?;
    Some(format!("{database}|{schema}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telemetry_is_told_host_and_port_alone() {
        let config = parse("postgres://user:secret@db.example.org:5433/shop", &PostgresOptions::default()).unwrap();
        assert_eq!(server(&config), Some((Arc::from("db.example.org"), 5433)));
        assert_eq!(namespace(&config, "orders").as_deref(), Some("shop|orders"));
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn what_is_encrypted_is_said_or_refused() {
        let mode = |address: &str| parse(address, &PostgresOptions::default()).map(|config| config.get_ssl_mode());
        for (url, pairs) in [
            ("postgres://user@host/db?", "host=host user=user "),
            (
                "postgresql://prefer:prefer@host?channel_binding=prefer&",
                "host=host user=prefer channel_binding=prefer ",
            ),
        ] {
            for address in [url, pairs] {
                let with = |word: &str| mode(&format!("{address}{word}"));
                assert_eq!(with("").unwrap(), SslMode::Disable, "{address}");
                assert_eq!(with("sslmode=disable").unwrap(), SslMode::Disable, "{address}");
                for word in ["require", "verify-ca", "verify-full"] {
                    assert_eq!(with(&format!("sslmode={word}")).unwrap(), SslMode::Require, "{address}{word}");
                }
                let refused = with("sslmode=prefer").unwrap_err().to_string();
                assert!(refused.contains("write sslmode=require, or sslmode=disable"), "{address}: {refused}");
            }
        }
        let spaced = mode("host=host sslmode = 'prefer'").unwrap_err().to_string();
        assert!(spaced.contains("sslmode=require"), "{spaced}");
        assert_eq!(mode("host=host sslnegotiation=direct").unwrap(), SslMode::Require);
    }

    #[test]
    fn the_silence_that_an_address_asks_for_is_kept() {
        let keepalives = |options: &str| {
            let address = format!("postgres://user@host/db{options}");
            let config = parse(&address, &PostgresOptions::default()).unwrap();
            (config.get_keepalives_idle(), config.get_keepalives_interval())
        };
        assert_eq!(keepalives("?keepalives_idle=5"), (Duration::from_secs(5), Some(ANSWER)));
        assert_eq!(keepalives("?keepalives_interval=75"), (SILENCE, Some(Duration::from_secs(75))));
        // What the system waits for an answer was added to the silence: more than a minute.
        assert_eq!(keepalives(""), (SILENCE, Some(ANSWER)));
    }

    /// Whichever answered first was taken, and where that was a stand-by no append was made.
    #[test]
    fn of_several_servers_one_that_takes_writes_is_asked_for() {
        let asked = |address: &str| {
            parse(address, &PostgresOptions::default()).map(|config| config.get_target_session_attrs()).unwrap()
        };
        assert_eq!(asked("postgres://user@one,other/db"), TargetSessionAttrs::ReadWrite);
        assert_eq!(asked("host=one,other hostaddr=10.0.0.1,10.0.0.2 user=user"), TargetSessionAttrs::ReadWrite);
        assert_eq!(asked("hostaddr=10.0.0.1,10.0.0.2 user=user"), TargetSessionAttrs::ReadWrite);
        // A server that takes no writes for a while is there all the same.
        assert_eq!(asked("postgres://user@one/db"), TargetSessionAttrs::Any);
        assert_eq!(asked("postgres://user@one/db?target_session_attrs=read-write"), TargetSessionAttrs::ReadWrite);
        assert_eq!(asked("postgres://user@one,other?target_session_attrs=read-only"), TargetSessionAttrs::ReadOnly);
    }

    #[test]
    fn a_mistyped_address_is_not_quoted() {
        for url in [
            "postgres//user:secret@host",
            "postgres://user:secret@host:port/db",
            "secret",
            "postgres://user:secret@host/db?sslmode=secret",
            "postgres://user:secret@host/db?secret=1",
            "",
        ] {
            let error = parse(url, &PostgresOptions::default()).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }
}
