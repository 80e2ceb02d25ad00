//! A RabbitMQ broker of a test's own, which it may stop.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use eventsource_runtime::testing::skip;
use uuid::Uuid;

use crate::services::{free_port, free_ports};

/// The variable that names the folder of RabbitMQ's programs, for tests that stop a broker.
pub const RABBITMQ_BIN: &str = "EVENTSOURCE_RABBITMQ_BIN";

/// How long a broker may take to start.
const STARTING: Duration = Duration::from_mins(5);
/// Between two looks at it, which has the processor meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// The broker. It ends with this value.
#[derive(Debug)]
pub struct RabbitMqServer {
    programs: PathBuf,
    folder: PathBuf,
    port: u16,
    distribution: u16,
    names: u16,
    /// The port behind TLS, if there is one.
    tls: Option<u16>,
    running: Option<Child>,
}

fn connects(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect(("127.0.0.1", port))
}

/// Whether the broker answers there. One that begins accepts connections before, and drops them; and before it listens,
/// one who connects again and again may at last be connected to himself.
fn greets(port: u16) -> io::Result<bool> {
    const METHOD: u8 = 1;
    let mut broker = connects(port)?;
    broker.set_read_timeout(Some(Duration::from_secs(1)))?;
    broker.write_all(b"AMQP\x00\x00\x09\x01")?;
    let mut first = [0];
    broker.read_exact(&mut first)?;
    Ok(first == [METHOD])
}

impl RabbitMqServer {
    /// Makes and starts a broker; without its programs the test is skipped.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start() -> Self {
        let mut server = Self::new();
        server.begin();
        server
    }

    /// As [`RabbitMqServer::start`], behind TLS with that certificate and key, in PEM.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn behind_tls((certificate, key): (String, String)) -> Self {
        let mut server = Self::new();
        let port = free_port();
        let of = |part: &str| server.folder.join(part).display().to_string();
        let (cert, private) = (of("certificate.pem"), of("key.pem"));
        let config = format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\n\
             ssl_options.certfile = {cert}\n\
             ssl_options.keyfile = {private}\n\
             ssl_options.verify = verify_none\n"
        );
        for (file, content) in [(cert, certificate), (private, key), (of("rabbitmq.conf"), config)] {
            std::fs::write(file, content).expect("a file");
        }
        server.tls = Some(port);
        server.begin();
        server
    }

    fn new() -> Self {
        let missing = || skip(&format!("no programs of RabbitMQ; set {RABBITMQ_BIN}, or run tests/run"));
        let programs = std::env::var_os(RABBITMQ_BIN).map_or_else(missing, PathBuf::from);
        let folder = std::env::temp_dir().join(format!("eventsource-rabbitmq-{}", Uuid::now_v7().simple()));
        for part in ["mnesia", "log"] {
            std::fs::create_dir_all(folder.join(part)).expect("a folder");
        }
        let [port, distribution, names] = free_ports();
        Self { programs, folder, port, distribution, names, tls: None, running: None }
    }

    /// The address of the broker.
    #[must_use]
    pub fn address(&self) -> String {
        match self.tls {
            Some(port) => format!("amqps://guest:guest@127.0.0.1:{port}"),
            None => format!("amqp://guest:guest@127.0.0.1:{}", self.port),
        }
    }

    /// Starts it again.
    ///
    /// # Panics
    /// It does not start.
    pub fn begin(&mut self) {
        let log = File::create(self.folder.join("out")).expect("a file");
        let mut command = self.command("rabbitmq-server");
        // Its own group, so that all of it can be ended.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().expect("a file")).stderr(log);
        self.running = Some(command.spawn().expect("a program"));
        let until = Instant::now() + STARTING;
        let is_up =
            || greets(self.port).is_ok_and(|greets| greets) && self.tls.is_none_or(|port| connects(port).is_ok());
        while !is_up() {
            assert!(Instant::now() < until, "the broker does not start; see {}", self.folder.display());
            std::thread::sleep(PAUSE);
        }
    }

    /// Stops it, as for an upgrade. A broker of a single node that is killed may never again find a leader for its
    /// quorum queues, whoever its clients are.
    pub fn stop(&mut self) {
        self.end("-TERM");
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut running) = self.running.take() {
            // The negative number is that of the group.
            let group = format!("-{}", running.id());
            let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
            let _ = running.wait();
        }
    }

    /// Tells the broker how much of the memory it may use; of nothing it has more than that, and holds publishers up.
    ///
    /// # Panics
    /// It does not take the word.
    pub fn allow_memory(&self, share: &str) {
        let mut command = self.command("rabbitmqctl");
        command.args(["-n", "es@localhost", "set_vm_memory_high_watermark", share]);
        let told = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(told.expect("a program").success(), "the broker does not take the word");
    }

    fn command(&self, program: &str) -> Command {
        let of = |part: &str| self.folder.join(part);
        let mut command = Command::new(self.programs.join(program));
        let arguments = "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}";
        command
            .env("HOME", &self.folder)
            .env("ERL_CRASH_DUMP", of("crash"))
            .env("RABBITMQ_NODENAME", "es@localhost")
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.names.to_string())
            .env("RABBITMQ_MNESIA_BASE", of("mnesia"))
            .env("RABBITMQ_LOG_BASE", of("log"))
            .env("RABBITMQ_CONFIG_FILE", of("rabbitmq.conf"))
            .env("RABBITMQ_PID_FILE", of("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", of("enabled_plugins"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", arguments);
        command
    }
}

impl Drop for RabbitMqServer {
    fn drop(&mut self) {
        self.end("-KILL");
        // Erlang's register of names outlives the broker, and does not let itself be ended before it has noticed its
        // end.
        let mut names = Command::new("epmd");
        names.arg("-kill").env("ERL_EPMD_PORT", self.names.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let until = Instant::now() + STARTING;
        while TcpStream::connect(("127.0.0.1", self.names)).is_ok() && Instant::now() < until {
            let _ = names.status();
            std::thread::sleep(PAUSE);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
