use serde_json::{Value, json};

use super::*;

fn draft(value: Value) -> Result<Grant, Problems> {
    serde_json::from_value::<GrantDraft>(value).unwrap().parse()
}

fn grants(values: &[Value]) -> Grants<()> {
    let grants = values.iter().map(|value| (draft(value.clone()).unwrap(), ())).collect();
    Grants::new("rss".parse().unwrap(), grants)
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

#[test]
fn a_grant_allows_reading_and_nothing_else_unless_it_says_so() {
    let grant = draft(json!({"host": "Feeds.Example.com"})).unwrap();
    assert_eq!(grant.host.to_string(), "feeds.example.com");
    assert_eq!(grant.methods, [Method::Get, Method::Head]);
    assert_eq!(grant.credential, None);
    assert!(!grant.private && !grant.http);
}

#[test]
fn a_grant_reads_back_as_it_was_written() {
    let full = json!({
        "host": "*.example.com:8443",
        "methods": ["POST"],
        "credential": {
            "header": "authorization",
            "secret_ref": "env:TOKEN",
            "format": "Bearer {secret}",
        },
        "private": true,
        "http": true,
    });
    assert_eq!(serde_json::to_value(draft(full.clone()).unwrap()).unwrap(), full);
}

#[test]
fn hosts_have_one_notation() {
    for (text, shown) in [
        ("api.example.com", "api.example.com"),
        ("API.Example.Com:8443", "api.example.com:8443"),
        ("*.example.com", "*.example.com"),
        ("*.example.com:80", "*.example.com:80"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("0x7f.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("[FD00::0:1]", "[fd00::1]"),
        ("[fd00::1]:8443", "[fd00::1]:8443"),
    ] {
        assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), shown, "{text}");
    }
}

#[test]
fn what_names_no_host_is_refused() {
    for text in [
        "",
        "*",
        "*.",
        "*.10.0.0.1",
        "*.[fd00::1]",
        "a.*.example.com",
        "*example.com",
        "https://example.com",
        "example.com/feed",
        "user@example.com",
        "example.com.",
        ".example.com",
        "a..example.com",
        "exa mple.com",
        "ex%61mple.com",
        "example.com:",
        "example.com:0",
        "example.com:+80",
        "example.com:65536",
        "example.com:http",
        "fd00::1",
        "[fd00::1",
        "256.0.0.1",
    ] {
        assert!(text.parse::<HostPattern>().is_err(), "{text}");
    }
}

#[test]
fn every_problem_of_a_grant_has_its_path() {
    let check = |value: Value, wanted: &[&str]| {
        let problems = draft(value).unwrap_err();
        let paths: Vec<&str> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, wanted, "{problems}");
    };
    check(json!({"host": "https://example.com"}), &["host"]);
    check(json!({"host": "a.b", "methods": []}), &["methods"]);
    check(json!({"host": "a.b", "methods": ["GET", "get"]}), &["methods[1]"]);
    check(json!({"host": "a.b", "methods": ["CONNECT", "TRACE"]}), &["methods[0]", "methods[1]"]);
    let credential = |header: &str, secret_ref: &str, format: &str| {
        let credential = json!({"header": header, "secret_ref": secret_ref, "format": format});
        json!({"host": "a.b", "credential": credential})
    };
    let (header, secret_ref, format) =
        ("credential.header", "credential.secret_ref", "credential.format");
    check(credential("", "env:A", "{secret}"), &[header]);
    check(credential("two words", "env:A", "{secret}"), &[header]);
    check(credential("Host", "env:A", "{secret}"), &[header]);
    check(credential("Proxy-Authorization", "env:A", "{secret}"), &[header]);
    check(credential("x-key", "hunter2", "{secret}"), &[secret_ref]);
    check(credential("x-key", "env:A", "Bearer"), &[format]);
    check(credential("x-key", "env:A", "{secret}{secret}"), &[format]);
    check(credential("x-key", "env:A", "{secret}\r\nhost: b"), &[format]);
    check(
        json!({
            "host": "", "methods": ["?"],
            "credential": {"header": "", "secret_ref": "", "format": ""},
        }),
        &["host", "methods[0]", header, secret_ref, format],
    );
}

#[test]
fn a_credential_may_be_a_cookie_and_may_do_without_a_format() {
    let credential = json!({"header": "Cookie", "secret_ref": "env:A"});
    let grant = draft(json!({"host": "a.b", "credential": credential})).unwrap();
    let credential = grant.credential.unwrap();
    assert_eq!((credential.header.as_str(), credential.format.as_str()), ("cookie", "{secret}"));
    assert_eq!(credential.value(b"s3cret"), b"s3cret");
    let credential = Credential { format: "session={secret}; a=b".to_owned(), ..credential };
    assert_eq!(credential.value(b"s3cret"), b"session=s3cret; a=b");
}

#[test]
fn grants_match_whole_hosts_and_ports() {
    for (host, address, allowed) in [
        ("example.com", "https://example.com/feed", true),
        ("example.com", "https://EXAMPLE.com:443/feed", true),
        ("example.com", "https://example.com:8443/", false),
        ("example.com", "https://www.example.com/", false),
        ("example.com", "https://badexample.com/", false),
        ("example.com", "https://example.com.evil.net/", false),
        ("example.com", "https://example.com./", false),
        ("example.com:8443", "https://example.com:8443/", true),
        ("example.com:8443", "https://example.com/", false),
        ("example.com:443", "https://example.com/", true),
        ("*.example.com", "https://a.example.com/", true),
        ("*.example.com", "https://a.b.example.com/", true),
        ("*.example.com", "https://example.com/", false),
        ("*.example.com", "https://.example.com/", false),
        ("*.example.com", "https://badexample.com/", false),
        ("127.0.0.1", "https://2130706433/", true),
        ("127.0.0.1", "https://0x7f.1/", true),
        ("127.0.0.1", "https://[::ffff:127.0.0.1]/", false),
        ("[::1]", "https://[0:0::1]/", true),
        ("xn--bcher-kva.example", "https://bücher.example/", true),
    ] {
        let found = grants(&[json!({"host": host})]).find(Method::Get, &url(address)).is_ok();
        assert_eq!(found, allowed, "{host} {address}");
    }
}

#[test]
fn the_narrower_grant_wins() {
    let grants = grants(&[
        json!({"host": "*.example.com"}),
        json!({"host": "*.eu.example.com", "methods": ["GET", "PUT"]}),
        json!({"host": "api.eu.example.com", "methods": ["GET"]}),
    ]);
    let found = |method, address| grants.find(method, &url(address)).unwrap().0.host.to_string();
    assert_eq!(found(Method::Get, "https://api.eu.example.com"), "api.eu.example.com");
    assert_eq!(found(Method::Put, "https://api.eu.example.com"), "*.eu.example.com");
    assert_eq!(found(Method::Head, "https://api.eu.example.com"), "*.example.com");
    assert_eq!(found(Method::Get, "https://us.example.com"), "*.example.com");
}

#[test]
fn a_denial_names_the_line_to_add() {
    let grants = grants(&[
        json!({"host": "api.example.com"}),
        json!({"host": "*.example.net", "methods": ["GET", "POST"]}),
    ]);
    for (method, address, wanted) in [
        (
            Method::Get,
            "https://feeds.example.com/rss?token=1",
            r#"GET https://feeds.example.com: add { host = "feeds.example.com" } to the grants of [[extensions]] name = "rss""#,
        ),
        (
            Method::Post,
            "http://ci.example.com:8080/",
            r#"POST http://ci.example.com:8080: add { host = "ci.example.com:8080", methods = ["POST"], http = true } to the grants of [[extensions]] name = "rss""#,
        ),
        (
            Method::Get,
            "https://10.0.0.1/",
            r#"GET https://10.0.0.1: add { host = "10.0.0.1", private = true } to the grants of [[extensions]] name = "rss""#,
        ),
        (
            Method::Post,
            "https://api.example.com/",
            r#"POST https://api.example.com: add methods = ["GET", "HEAD", "POST"] to the grant host = "api.example.com" of [[extensions]] name = "rss""#,
        ),
        (
            Method::Get,
            "http://a.example.net/",
            r#"GET http://a.example.net: add http = true to the grant host = "*.example.net" of [[extensions]] name = "rss""#,
        ),
    ] {
        assert_eq!(grants.find(method, &url(address)).unwrap_err().to_string(), wanted);
    }
    let ((grant, ()), to) = (
        grants.find(Method::Get, &url("https://a.example.net")).unwrap(),
        "10.0.0.1".parse().unwrap(),
    );
    let denial =
        grants.denied_address(grant, &url("https://a.example.net"), to, "a private address");
    assert_eq!(
        denial.to_string(),
        r#"https://a.example.net has the address 10.0.0.1, which is a private address: add private = true to the grant host = "*.example.net" of [[extensions]] name = "rss""#
    );
}

/// The line that a denial names is one that the parser takes and that then allows the request.
#[test]
fn the_line_of_a_denial_helps() {
    for (method, address) in [
        (Method::Get, "https://feeds.example.com/"),
        (Method::Delete, "http://ci.example.com:8080/"),
        (Method::Post, "https://[fd00::1]:8443/"),
        (Method::Options, "http://0x7f.1/"),
    ] {
        let denial = grants(&[]).find(method, &url(address)).unwrap_err();
        let entry = denial.line.strip_suffix(" to the grants").unwrap();
        let table: toml::Table = toml::from_str(&format!("grants = [{entry}]")).unwrap();
        let [entry] = table["grants"].as_array().unwrap().as_slice() else { panic!("one grant") };
        let draft: GrantDraft = entry.clone().try_into().unwrap();
        let helped = Grants::new("rss".parse().unwrap(), vec![(draft.parse().unwrap(), ())]);
        assert!(helped.find(method, &url(address)).is_ok(), "{address}");
    }
}
