//! Workers joined, listed, and told what is wanted of them.

use serde_json::json;

use super::{ask, contract_folder};
use crate::harness::client::Answer;

#[tokio::test]
async fn a_machine_joins_and_is_looked_after() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let made = ask(&folder, &host, &["worker", "token", "create", "--uses", "2"]).await;
    let command = format!("hillock worker --url {} --join {}", host.url, made.stdout.trim());
    assert!(made.stdout.starts_with("hlk_boot_"), "{made:?}");
    assert!(made.stderr.contains(&command), "{made:?}");
    assert!(made.stderr.contains("hillock worker approve NAME"), "{made:?}");
    let url = format!("{}/api/v1/workers/register", host.url);
    let joining = host.http.post(url).bearer_auth(made.good().trim());
    let joined = Answer::of(joining.json(&json!({ "name": "build box" }))).await;
    let id = joined.json()["id"].as_str().unwrap().to_owned();

    let tokens = ask(&folder, &host, &["worker", "token", "list"]).await.good();
    let row: Vec<_> = tokens.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[2..4], ["1", "no"], "{tokens}");
    let revoked = ask(&folder, &host, &["worker", "token", "revoke", row[0]]).await.good();
    assert!(revoked.ends_with("… admits nobody any more\n"), "{revoked}");
    let json = ask(&folder, &host, &["worker", "token", "list", "--json"]).await.json();
    assert!(json["items"][0]["revoked_at"].is_string());

    let list = ["worker", "list", "--approval", "pending"];
    let listed = ask(&folder, &host, &list).await.good();
    let [_, line] = listed.lines().collect::<Vec<_>>()[..] else { panic!("{listed}") };
    let cells: Vec<_> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells, [&*id, "build box", "unknown", "pending", "active", "-", "0/0", "-"]);
    for (change, wanted) in [
        ("approve", "is approved, active; unknown\n"),
        ("drain", "is approved, active, draining; unknown\n"),
        ("undrain", "is approved, active; unknown\n"),
        ("disable", "is approved, disabled; unknown\n"),
        ("enable", "is approved, active; unknown\n"),
        ("reject", "is rejected, active; unknown\n"),
    ] {
        let said = ask(&folder, &host, &["worker", change, "build box"]).await.good();
        assert_eq!(said, format!("{id} build box {wanted}"), "{change}");
    }
    let shown = ask(&folder, &host, &["worker", "show", &id]).await.good();
    assert!(shown.contains("approval       rejected\n"), "{shown}");
    let rotated = ask(&folder, &host, &["worker", "rotate", &id]).await;
    assert!(rotated.stderr.contains("not shown again"), "{rotated:?}");
    let credential = rotated.good();
    assert!(credential.starts_with("hlk_wrk_"), "{credential}");
    let shown = ask(&folder, &host, &["worker", "show", &id, "--json"]).await.json();
    assert!(credential.starts_with(shown["credential_prefix"].as_str().unwrap()));
    let revoked = ask(&folder, &host, &["worker", "--json", "revoke", &id]).await.json();
    assert_eq!(revoked["admin_state"], "revoked");

    let said = ask(&folder, &host, &["worker", "approve", &id]).await.bad();
    assert!(said.contains("the worker was revoked, and stays so"), "{said}");
    let said = ask(&folder, &host, &["worker", "show", "build box"]).await.bad();
    assert!(said.contains("there is no such worker"), "{said}");
    let said = ask(&folder, &host, &["worker", "token", "create", "--uses", "0"]).await.bad();
    assert!(said.contains("uses: is not a number from 1 to 10000"), "{said}");
}
