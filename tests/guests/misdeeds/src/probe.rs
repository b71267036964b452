//! Looking around: what a component can see that it should not.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// `file=… directory=… write=… environment=… arguments=… network=…`, each `denied`, `empty` or
/// what leaked.
pub(crate) fn reach() -> String {
    let file = std::fs::read_to_string("/etc/passwd");
    let directory = std::fs::read_dir("/").map(|entries| entries.count().to_string());
    let write = std::fs::write("/tmp/hillock-escape", "x").map(|()| "written".to_owned());
    let network = TcpStream::connect("127.0.0.1:1").map(|_| "connected".to_owned());
    let variables: Vec<String> =
        std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    let arguments: Vec<String> = std::env::args().collect();
    format!(
        "file={} directory={} write={} environment={} arguments={} network={}",
        verdict(file),
        verdict(directory),
        verdict(write),
        found(variables.join(",")),
        found(arguments.join(",")),
        verdict(network),
    )
}

fn verdict(result: std::io::Result<String>) -> String {
    match result {
        Ok(content) => found(content),
        // An attempt that got as far as being refused by the peer has left the sandbox.
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => "reached".to_owned(),
        Err(_) => "denied".to_owned(),
    }
}

fn found(content: String) -> String {
    if content.is_empty() { "empty".to_owned() } else { content }
}

/// `millis=<Unix time> random=<16 hex digits>`.
#[allow(clippy::disallowed_methods, reason = "the clock that the sandbox gives is what is probed")]
pub(crate) fn random_clock() -> String {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let random = RandomState::new().hash_one(0_u8);
    format!("millis={millis} random={random:016x}")
}

/// `calls=<count>`.
pub(crate) fn calls_served() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    format!("calls={}", CALLS.fetch_add(1, Ordering::Relaxed) + 1)
}
