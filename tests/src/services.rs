//! Servers that tests need, at the addresses that the environment gives. `tests/run` starts them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use eventsource_runtime::testing::skip;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// The variable that has the address of a PostgreSQL server: a database in which the tests may make schemas.
pub const POSTGRES: &str = "EVENTSOURCE_POSTGRES_URL";
/// The variable that names the folder of PostgreSQL's programs, for tests that stop a server.
pub const POSTGRES_BIN: &str = "EVENTSOURCE_POSTGRES_BIN";

/// The address of a PostgreSQL server; without one the test is skipped.
#[must_use]
pub fn postgres() -> String {
    std::env::var(POSTGRES).unwrap_or_else(|_| skip(&format!("no PostgreSQL; set {POSTGRES}, or run tests/run")))
}

/// A schema that no other test has.
#[must_use]
pub fn a_schema() -> String {
    format!("eventsource_test_{}", Uuid::now_v7().simple())
}

/// A port that is free, now and until a server binds it: it is below those that the system gives out by itself.
#[must_use]
pub fn free_port() -> u16 {
    let [port] = free_ports();
    port
}

/// Several of those, each another one.
///
/// # Panics
/// There are none.
#[must_use]
pub fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let taken = [(); COUNT].map(|()| {
        let any = std::iter::repeat_with(|| u16::try_from(20_000 + Uuid::now_v7().as_u128() % 12_000).expect("a port"));
        any.take(1000).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).expect("a free port")
    });
    taken.map(|listener| listener.local_addr().expect("its number").port())
}

/// A connection of the driver's own.
///
/// # Panics
/// There is none to be had.
pub async fn raw(address: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await.expect("a connection");
    tokio::spawn(async move {
        // A test that kills it knows.
        let _ = connection.await;
    });
    client
}

/// How often a test repeats what takes long: the number in the environment, or a few times.
#[must_use]
pub fn repeats(variable: &str, few: usize) -> usize {
    std::env::var(variable).ok().and_then(|number| number.parse().ok()).unwrap_or(few)
}

/// A PostgreSQL server of a test's own, which it may stop. It ends with this value.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl PostgresServer {
    /// Makes and starts a server; without its programs the test is skipped.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start() -> Self {
        let missing = || skip(&format!("no programs of PostgreSQL; set {POSTGRES_BIN}, or run tests/run"));
        let programs = std::env::var_os(POSTGRES_BIN).map_or_else(missing, PathBuf::from);
        let folder = std::env::temp_dir().join(format!("eventsource-postgres-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).expect("a folder");
        let server = Self { programs, folder, port: free_port() };
        if is_root() {
            assert!(Command::new("chown").arg("postgres").arg(&server.folder).status().expect("chown").success());
        }
        let initdb = server.run("initdb", &["-A", "trust", "-U", "es", "--no-sync", "--locale=C.UTF-8"]);
        assert!(initdb, "initdb fails; try it in {}", server.folder.display());
        server.begin();
        server
    }

    /// The address of its database.
    #[must_use]
    pub fn address(&self) -> String {
        format!("postgres://es@127.0.0.1:{}/postgres", self.port)
    }

    /// The address of the same at its socket, which is a file.
    #[must_use]
    pub fn socket(&self) -> String {
        format!("host='{}' port={} user=es dbname=postgres", self.folder.display(), self.port)
    }

    /// Starts it again.
    ///
    /// # Panics
    /// It does not start.
    pub fn begin(&self) {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} -c fsync=off",
            self.port,
            self.folder.display()
        );
        let log = self.folder.join("log");
        let log = log.to_str().expect("a folder's name is text");
        assert!(
            self.run("pg_ctl", &["start", "-w", "-l", log, "-o", &options]),
            "the server does not start; see {log}"
        );
    }

    /// Gives it a certificate for 127.0.0.1, and returns that of the authority that made it; without the program
    /// `openssl` the test is skipped.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn certify(&self) -> Vec<u8> {
        let data = self.folder.join("data");
        if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
            skip("no openssl, which makes a certificate for a server");
        }
        let openssl = |arguments: &str| {
            let mut command = Command::new("openssl");
            let command = command.args(arguments.split(' ')).current_dir(&data);
            let made = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            assert!(made.expect("openssl").success(), "openssl {arguments}");
        };
        std::fs::write(data.join("names"), "subjectAltName=IP:127.0.0.1").expect("a file");
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        openssl(&format!("req -x509 {key} -keyout ca.key -out ca.crt -subj /CN=tests -days 2"));
        openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=127.0.0.1"));
        openssl(
            "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names",
        );
        if is_root() {
            let owned = ["server.key", "server.crt"].map(|name| data.join(name));
            assert!(Command::new("chown").arg("postgres").args(&owned).status().expect("chown").success());
        }
        self.set("ssl = on");
        std::fs::read(data.join("ca.crt")).expect("the authority's certificate")
    }

    /// Starts it again with another setting.
    ///
    /// # Panics
    /// It does not take it.
    pub fn set(&self, setting: &str) {
        let settings = self.folder.join("data").join("postgresql.conf");
        let text = std::fs::read_to_string(&settings).expect("the settings");
        std::fs::write(&settings, format!("{text}\n{setting}\n")).expect("the settings");
        self.crash();
        self.begin();
    }

    /// Stops it as a crash would: nothing is finished, nothing is told.
    ///
    /// # Panics
    /// It does not stop.
    pub fn crash(&self) {
        assert!(self.run("pg_ctl", &["stop", "-w", "-m", "immediate"]), "the server does not stop");
    }

    fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            // The server refuses to run as root.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let data: &Path = &self.folder.join("data");
        let command = command.arg("-D").arg(data).args(arguments).current_dir(&self.folder);
        // Not pipes: the server would keep them open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("a program").success()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate"]);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The variable that has the addresses of Kafka brokers, `host:port` with commas between.
pub const KAFKA: &str = "EVENTSOURCE_KAFKA_URL";

/// The addresses of Kafka brokers; without one the test is skipped.
#[must_use]
pub fn kafka() -> String {
    std::env::var(KAFKA).unwrap_or_else(|_| skip(&format!("no Kafka; set {KAFKA}, or run tests/run")))
}

/// The variable that has the address of a RabbitMQ broker.
pub const RABBITMQ: &str = "EVENTSOURCE_RABBITMQ_URL";

/// The address of a RabbitMQ broker; without one the test is skipped.
#[must_use]
pub fn rabbitmq() -> String {
    std::env::var(RABBITMQ).unwrap_or_else(|_| skip(&format!("no RabbitMQ; set {RABBITMQ}, or run tests/run")))
}
