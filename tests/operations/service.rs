//! What a service manager is told, and the unit that is printed for it.

use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::harness::database::Database;
use crate::harness::folder::Folder;
use crate::harness::process::hillock;

#[tokio::test]
async fn a_service_manager_hears_that_the_host_is_ready_alive_and_stopping() {
    let folder = Folder::new(Database::sqlite(), "").await;
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let folder = folder
        .env("NOTIFY_SOCKET", path.to_str().unwrap())
        .env("WATCHDOG_USEC", &Duration::from_millis(200).as_micros().to_string());
    let mut host = folder.serve().await;
    let said = hear(&manager).await;
    assert!(said.starts_with("READY=1\n"), "{said}");
    assert!(said.contains(&format!("STATUS=listening on {}", host.url)), "{said}");
    for _ in 0..3 {
        assert_eq!(hear(&manager).await, "WATCHDOG=1\n");
    }
    assert!(host.process.stop().await.success());
    let mut said = hear(&manager).await;
    while said == "WATCHDOG=1\n" {
        said = hear(&manager).await;
    }
    assert!(said.starts_with("STOPPING=1\n"), "{said}");
}

async fn hear(manager: &UnixDatagram) -> String {
    let mut buffer = [0; 512];
    let heard = timeout(Duration::from_secs(30), manager.recv(&mut buffer)).await;
    let length = heard.expect("the host says something").unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn the_unit_starts_this_program() {
    let printed = hillock(&["systemd"]).output().await.unwrap();
    let unit = String::from_utf8(printed.stdout).unwrap();
    let start = format!("ExecStart={} serve --config", env!("CARGO_BIN_EXE_hillock"));
    assert!(printed.status.success() && unit.contains(&start), "{unit}");
    assert!(unit.contains("Type=notify") && unit.contains("WatchdogSec="), "{unit}");
}
