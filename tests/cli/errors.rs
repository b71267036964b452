//! What clients say when they cannot do what was asked.

use super::{alone, ask, contract_folder};

#[tokio::test]
async fn without_a_host() {
    let folder = contract_folder().await;
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", listening.local_addr().unwrap());
    drop(listening);
    std::fs::write(folder.data_dir().join("admin.key"), "hlk_1").unwrap();
    let said = alone(&folder, &["run", "list", "--url", &nobody]).await.bad();
    let wanted = format!("error: no host answers at {nobody}/: is `hillock serve` running?\n");
    assert_eq!(said, wanted);
}

#[tokio::test]
async fn without_a_key_or_with_a_wrong_one() {
    let folder = contract_folder().await;
    let said = alone(&folder, &["run", "list"]).await.bad();
    assert!(said.starts_with("error: there is no API key: "), "{said}");
    assert!(said.contains("admin.key does not exist"), "{said}");

    let host = folder.serve().await;
    folder.write("my.key", "hlk_wrong\n");
    let said = ask(&folder, &host, &["run", "list", "--key-file", "my.key"]).await.bad();
    let wanted = format!("error: the host at {}/ does not accept the API key in my.key", host.url);
    assert!(said.starts_with(&wanted), "{said}");
    assert!(!said.contains("hlk_wrong"), "{said}");
}

#[tokio::test]
async fn for_what_is_not_there_or_not_valid() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let zeros = "0".repeat(32);
    for (line, wanted) in [
        (format!("run show run_{zeros}"), "there is no such run"),
        (format!("event show evt_{zeros}"), "there is no such event"),
        ("trigger show nope".to_owned(), "there is no such trigger"),
        ("run list --cursor zz".to_owned(), "is not a cursor"),
        ("run list --status lost".to_owned(), "lost"),
        ("run show evt_1".to_owned(), "not an identifier"),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let said = ask(&folder, &host, &args).await.bad();
        assert!(said.starts_with("error: ") && said.contains(wanted), "{line}: {said}");
    }
}

#[tokio::test]
async fn a_host_on_a_taken_address_says_so() {
    let folder = contract_folder().await;
    let host = folder.serve().await;
    let another = contract_folder().await;
    let mut second = another.start(host.address());
    assert!(!second.ended().await.success());
    let said = second.written();
    assert!(said.contains(&format!("error: cannot listen on {}", host.address())), "{said}");
}
