//! A headless Chromium, driven over its own protocol: NUL-terminated JSON over two pipes, and nothing else.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use eventsource_tests::scratch::Scratch;
use serde_json::{Value, json};

/// How long the page may take to come to what a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Browser {
    process: Child,
    scratch: Scratch,
    commands: File,
    answers: BufReader<File>,
    session: String,
    number: u64,
    /// What the page complained about: errors of its script, and what its policy refused.
    pub(super) complaints: Vec<String>,
}

fn program() -> Option<PathBuf> {
    let named = env::var_os("CHROMIUM").map(PathBuf::from);
    let found = || {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).map(|folder| folder.join("chromium")).find(|program| program.is_file())
    };
    named.or_else(found)
}

impl Browser {
    /// `None` where there is none, which is said.
    pub(super) fn start() -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: CHROMIUM names no browser, and there is no `chromium` on the path");
            return None;
        };
        let scratch = Scratch::new();
        let folder = scratch.folder();
        let pipe = |name: &str| {
            let path = folder.join(name);
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            path
        };
        let (commands, answers) = (pipe("commands"), pipe("answers"));
        // The shell gives the pipes the numbers 3 and 4, which Chromium expects.
        let process = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<"$COMMANDS" 4>"$ANSWERS""#])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg("--window-size=1600,900")
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .env("COMMANDS", &commands)
            .env("ANSWERS", &answers)
            // It is killed, and leaves its own there.
            .env("TMPDIR", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = File::options().write(true).open(commands).unwrap();
        let answers = BufReader::new(File::open(answers).unwrap());
        let complaints = Vec::new();
        Some(Self { process, scratch, commands, answers, session: String::new(), number: 0, complaints })
    }

    pub(super) fn open(&mut self, page: &str) {
        let file = self.scratch.folder().join("page.html");
        fs::write(&file, page).unwrap();
        let target = self.send("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = self.send("Target.attachToTarget", &attach);
        attached["sessionId"].as_str().unwrap().clone_into(&mut self.session);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            self.send(domain, &json!({}));
        }
        let size = json!({ "width": 1600, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.send("Emulation.setDeviceMetricsOverride", &size);
        self.send("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }));
        self.wait_for("document.querySelectorAll('.row').length > 0");
    }

    fn send(&mut self, method: &str, parameters: &Value) -> Value {
        self.number += 1;
        let mut command = json!({ "id": self.number, "method": method, "params": parameters });
        if !self.session.is_empty() {
            command["sessionId"] = self.session.as_str().into();
        }
        self.commands.write_all(format!("{command}\0").as_bytes()).unwrap();
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).unwrap();
            answer.pop();
            let answer: Value = serde_json::from_slice(&answer).expect("the browser is still there");
            match answer["method"].as_str() {
                Some("Runtime.exceptionThrown") => self.complaints.push(answer["params"].to_string()),
                Some("Log.entryAdded") => self.complaints.push(answer["params"]["entry"]["text"].to_string()),
                _ => {}
            }
            if answer["id"] == self.number {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// What an expression is, in the page.
    pub(super) fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.send("Runtime.evaluate", &asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    pub(super) fn text(&mut self, expression: &str) -> String {
        self.value(expression).as_str().unwrap_or_else(|| panic!("`{expression}` is no text")).to_owned()
    }

    /// Waits until an expression is true.
    pub(super) fn wait_for(&mut self, expression: &str) {
        let started = Instant::now();
        while self.value(&format!("Boolean({expression})")) != true {
            assert!(started.elapsed() < PATIENCE, "never came: {expression}; complaints: {:?}", self.complaints);
            // The page draws in the next frame; it is waited for in the page itself.
            self.value("new Promise((done) => setTimeout(done, 16))");
        }
    }

    /// Clicks in the middle of the first element that a selector finds.
    pub(super) fn click(&mut self, selector: &str) {
        // Rows are drawn anew with the next frame: one that is pressed before and released after it is not clicked.
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");
        self.wait_for(&format!("document.querySelector({selector:?})"));
        let place = format!(
            "(() => {{ const box = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.value(&place);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.send("Input.dispatchMouseEvent", &event);
        }
    }

    /// Presses a key, by the name that the page sees.
    pub(super) fn press(&mut self, key: &str) {
        let mut event = json!({ "type": "keyDown", "key": key });
        if key.chars().count() == 1 {
            event["text"] = key.into();
        }
        if key == "Backspace" {
            event["windowsVirtualKeyCode"] = 8.into();
        }
        self.send("Input.dispatchKeyEvent", &event);
        self.send("Input.dispatchKeyEvent", &json!({ "type": "keyUp", "key": key }));
    }

    /// The name of the span whose row is chosen.
    pub(super) const CHOSEN: &str = "document.querySelector('.row[aria-selected=true] .name')?.textContent";

    /// The row that is chosen, once there is one.
    pub(super) fn chosen(&mut self) -> String {
        self.wait_for(Self::CHOSEN);
        self.text(Self::CHOSEN)
    }

    /// A picture of the page, as the base64 of a PNG.
    pub(super) fn picture(&mut self) -> String {
        self.send("Page.captureScreenshot", &json!({ "format": "png" }))["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
