//! The machine: its clock, the address, certificates, and what keeps programs within bounds.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::Finding;
use crate::clock::Clock;
use crate::config::{Private, Worker, reachable};
use crate::model::time::Time;
use crate::worker;

/// How long somebody may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How much of an answer is looked at, in bytes.
const ANSWER_BYTES: u64 = 64 * 1024;
/// 2025-01-01: no clock that is right says less.
const EARLIEST_MS: i64 = 1_735_689_600_000;

/// The clock.
pub(super) async fn time() -> Finding {
    let now = Clock.now();
    if now < Time::from_millis(EARLIEST_MS).unwrap_or(Time::EPOCH) {
        let advice = "set it, by NTP: signatures, schedules and leases go by it";
        return Finding::error("clock", format!("it is {now}, which cannot be"), advice);
    }
    match is_synchronized().await {
        Some(true) => Finding::ok("clock", format!("it is {now}, and kept right by NTP")),
        Some(false) => {
            let advice = "have NTP keep it: timedatectl set-ntp true";
            Finding::warning("clock", format!("it is {now}, and nothing keeps it right"), advice)
        }
        None => Finding::ok("clock", format!("it is {now}; who keeps it right is not known")),
    }
}

/// What systemd knows of the clock; none where there is no systemd.
async fn is_synchronized() -> Option<bool> {
    let mut asking = Command::new("timedatectl");
    asking.args(["show", "--property=NTPSynchronized", "--value"]);
    asking.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let answer = timeout(PATIENCE, asking.output()).await.ok()?.ok()?;
    match answer.stdout.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}

/// The address to listen on: free, or a host's already.
pub(super) async fn address(listen: SocketAddr) -> Finding {
    let looking = tokio::task::spawn_blocking(move || look_at(listen)).await;
    looking.unwrap_or_else(|_| Finding::ok("address", format!("{listen} was not looked at")))
}

fn look_at(listen: SocketAddr) -> Finding {
    if listen.port() == 0 {
        return Finding::ok("address", format!("{listen} takes any free port"));
    }
    let elsewhere = "have the host listen elsewhere: server.listen";
    match TcpListener::bind(listen) {
        Ok(_) => Finding::ok("address", format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match is_host(reachable(listen)) {
            true => Finding::ok("address", format!("a host listens on {listen}")),
            false => {
                let what = format!("another program listens on {listen}");
                Finding::error("address", what, elsewhere)
            }
        },
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let advice = "take a port from 1024 on, or give the program CAP_NET_BIND_SERVICE";
            Finding::error("address", format!("{listen} is not this user's to take"), advice)
        }
        Err(error) => Finding::error("address", format!("{listen}: {error}"), elsewhere),
    }
}

/// Whether it is a Hillock that listens there: its metrics have a name.
fn is_host(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| String::from_utf8_lossy(&answer).contains("hillock_"))
}

/// The certificates that the machine trusts.
pub(super) fn certificates() -> Finding {
    let found = rustls_native_certs::load_native_certs();
    let number = found.certs.len();
    if number > 0 {
        return Finding::ok("certificates", format!("this machine trusts {number}"));
    }
    let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
    let what = format!("this machine trusts none{why}: nobody is reached by HTTPS");
    let advice = "install ca-certificates, or name a file by SSL_CERT_FILE or egress.ca_file";
    Finding::warning("certificates", what, advice)
}

/// What keeps the worker's programs within bounds.
pub(super) async fn bounds() -> Vec<Finding> {
    let enforced = worker::enforced_here().await;
    let mut findings = Vec::new();
    findings.push(match enforced.network_off {
        true => Finding::ok("bubblewrap", "works: programs can be kept from network and folder"),
        false => Finding::warning(
            "bubblewrap",
            "does not work here: no run is taken whose policy keeps it from the network or its folder",
            "install bubblewrap, and let users make namespaces (kernel.unprivileged_userns_clone = 1; \
             with AppArmor, kernel.apparmor_restrict_unprivileged_userns = 0)",
        ),
    });
    if !enforced.memory {
        findings.push(Finding::warning(
            "prlimit",
            "does not work here: no run is taken whose policy limits memory",
            "install util-linux",
        ));
    }
    findings
}

/// What the worker's programs could do that they should not.
pub(super) async fn exposure(worker: &Worker, data_dir: &Path, private: &Private) -> Vec<Finding> {
    const ISOLATION: &str = "isolation";
    let found = match worker::exposure::find(worker, data_dir, private).await {
        Ok(found) => found,
        Err(error) => {
            let what = format!("{:#}", anyhow::Error::new(error));
            let advice = "mend it: the worker does not begin like this";
            return vec![Finding::error(ISOLATION, what, advice)];
        }
    };
    if found.is_empty() {
        let what = "programs are kept from the host, its secrets and one another";
        return vec![Finding::ok(ISOLATION, what)];
    }
    let advice = "see README, \"What a program is kept from\"";
    found.into_iter().map(|what| Finding::warning(ISOLATION, what, advice)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn an_address_is_free_or_somebodys() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"SSH-2.0-nothing\r\n").unwrap();
        });
        let found = look_at(address);
        answering.join().unwrap();
        assert_eq!(found.state, State::Error);
        assert!(found.what.contains("another program"), "{}", found.what);
        assert_eq!(look_at("127.0.0.1:0".parse().unwrap()).state, State::Ok);
        let nowhere = look_at("192.0.2.1:7878".parse().unwrap());
        assert_eq!(nowhere.state, State::Error);
    }
}
