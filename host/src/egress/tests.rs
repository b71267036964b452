//! Against real sockets on loopback, which only `private = true` reaches.

mod authority;
mod server;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::config::EgressLimits;
use crate::model::egress::GrantDraft;
use authority::Authority;
use server::Server;

const SECRET: &str = "s3cret-of-the-operator";

/// A resolver that knows a few names, and counts how often it is asked. A name with several answers
/// gives one after the other, and the last one for good.
#[derive(Debug, Default)]
struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn new(names: &[(&str, &[&[&str]])]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        let answers = names
            .iter()
            .map(|(name, answers)| ((*name).to_owned(), answers.iter().rev().map(parse).collect()));
        Arc::new(Self { answers: Mutex::new(answers.collect()), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Resolve for Names {
    fn resolve<'n>(&'n self, name: &'n str, port: u16) -> Resolving<'n> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut known = self.answers.lock().unwrap();
        let answer = match known.get_mut(name) {
            Some(answers) if answers.len() > 1 => answers.pop(),
            Some(answers) => answers.last().cloned(),
            None => None,
        };
        let found = answer.map(|ips| ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
        Box::pin(async move { found.ok_or_else(|| std::io::ErrorKind::NotFound.into()) })
    }
}

/// Names that are all this machine.
fn here(names: &[&str]) -> Arc<Names> {
    const HERE: &[&[&str]] = &[&["127.0.0.1"]];
    let names: Vec<_> = names.iter().map(|name| (*name, HERE)).collect();
    Names::new(&names)
}

fn limits() -> EgressLimits {
    EgressLimits { body_bytes: 1000, ..EgressLimits::default() }
}

fn egress_in(network: Network, grants: Value) -> Egress {
    let drafts: Vec<GrantDraft> = serde_json::from_value(grants).unwrap();
    let grants = drafts.into_iter().map(|draft| draft.parse().unwrap()).collect();
    let secret = |_: &SecretRef| Secret::new(SECRET.into()).ok_or("none");
    Egress::new(Arc::new(network), "rss".parse().unwrap(), grants, secret).unwrap()
}

fn egress(names: &Arc<Names>, grants: Value) -> Egress {
    egress_in(Network::open(limits(), names.clone()).unwrap(), grants)
}

fn request(method: &str, url: &str) -> Request {
    Request { method: method.into(), url: url.into(), headers: vec![], body: "".into() }
}

fn with(mut request: Request, headers: &[(&str, &str)]) -> Request {
    request.headers.extend(headers.iter().map(|(n, v)| ((*n).to_owned(), v.as_bytes().to_vec())));
    request
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn moved(status: u16, to: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_granted_host_answers() {
    let mut server = Server::start(|_| {
        "HTTP/1.1 201 Created\r\ncontent-length: 5\r\nETag: \"1\"\r\nset-cookie: a=b\r\n\
         keep-alive: timeout=5\r\n\r\nhello"
            .into()
    })
    .await;
    let names = here(&["feeds.test"]);
    let egress =
        egress(&names, json!([{"host": server.host("feeds.test"), "private": true, "http": true}]));
    let url = server.url("feeds.test", "/rss?page=1");
    let asked = with(request("GET", &url), &[("Accept", "text/xml"), ("x-a", "1"), ("x-a", "2")]);
    let response = egress.fetch(asked).await.unwrap();
    assert_eq!((response.status, response.url.as_str()), (201, url.as_str()));
    assert_eq!(response.body, b"hello");
    let headers: Vec<_> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(headers, ["content-length", "etag"]);
    let [asked] = server.seen().try_into().unwrap();
    assert_eq!(asked.line, "GET /rss?page=1 HTTP/1.1");
    assert_eq!(asked.values("host"), [server.host("feeds.test")]);
    assert_eq!(asked.values("accept"), ["text/xml"]);
    assert_eq!(asked.values("x-a"), ["1", "2"]);
    assert_eq!(asked.values("accept-encoding"), ["identity"]);
    assert!(asked.values("user-agent")[0].starts_with("hillock/"));
    assert_eq!(names.asked(), ["feeds.test"]);
}

#[tokio::test]
async fn nothing_is_reached_without_a_grant() {
    let mut server = Server::start(|_| ok("")).await;
    let names = here(&["feeds.test", "other.test"]);
    let host = server.host("feeds.test");
    let egress = egress(&names, json!([{"host": host, "http": true, "private": true}]));
    for (method, url) in [
        ("GET", server.url("other.test", "/")),
        ("POST", server.url("feeds.test", "/")),
        ("GET", "http://feeds.test/".to_owned()),
        ("GET", server.url("127.0.0.1", "/")),
    ] {
        let error = egress.fetch(request(method, &url)).await.unwrap_err();
        assert!(matches!(error, EgressError::Denied(_)), "{url}: {error}");
        assert!(error.to_string().contains(": add "), "{error}");
    }
    assert!(server.seen().is_empty());
    assert!(names.asked().is_empty(), "a name that is not granted is not even looked up");
}

#[tokio::test]
async fn addresses_that_are_not_public_need_a_grant_that_says_so() {
    let mut server = Server::start(|_| ok("")).await;
    let names = Names::new(&[
        ("inside.test", &[&["127.0.0.1"]]),
        ("half.test", &[&["93.184.215.14", "127.0.0.1"]]),
        ("mapped.test", &[&["::ffff:127.0.0.1"]]),
        ("meta.test", &[&["169.254.169.254"]]),
    ]);
    let port = server.port();
    let hosts = ["inside.test", "half.test", "mapped.test", "meta.test", "127.0.0.1", "[::1]"];
    let grants: Vec<Value> = hosts
        .iter()
        .map(|host| json!({"host": format!("{host}:{port}"), "http": true}))
        .chain([json!({"host": format!("[::ffff:127.0.0.1]:{port}"), "http": true})])
        .collect();
    let egress = egress(&names, grants.into());
    for (host, wanted) in [
        ("inside.test", "has the address 127.0.0.1, which is a loopback address"),
        ("half.test", "has the address 127.0.0.1, which is a loopback address"),
        ("mapped.test", "has the address ::ffff:127.0.0.1, which is a loopback address"),
        ("meta.test", "has the address 169.254.169.254, which is a link-local address"),
        ("127.0.0.1", "has the address 127.0.0.1, which is a loopback address"),
        ("2130706433", "has the address 127.0.0.1, which is a loopback address"),
        ("0x7f.1", "has the address 127.0.0.1, which is a loopback address"),
        ("0177.0.0.1", "has the address 127.0.0.1, which is a loopback address"),
        ("[::1]", "has the address ::1, which is a loopback address"),
        ("[::ffff:7f00:1]", "has the address ::ffff:127.0.0.1, which is a loopback address"),
    ] {
        let url = format!("http://{host}:{port}/");
        let error = egress.fetch(request("GET", &url)).await.unwrap_err();
        assert!(matches!(error, EgressError::Denied(_)), "{host}: {error}");
        let text = error.to_string();
        assert!(
            text.contains(wanted) && text.contains("add private = true to the grant"),
            "{text}"
        );
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_looked_at() {
    let mut first = Server::start(|_| ok("first")).await;
    let Some(mut second) = Server::start_at("127.0.0.2", first.port(), |_| ok("second")).await
    else {
        return; // This machine has one loopback address only.
    };
    let names = Names::new(&[("flips.test", &[&["127.0.0.1"], &["127.0.0.2"]])]);
    let egress =
        egress(&names, json!([{"host": first.host("flips.test"), "http": true, "private": true}]));
    let url = first.url("flips.test", "/");
    assert_eq!(egress.fetch(request("GET", &url)).await.unwrap().body, b"first");
    assert_eq!(names.asked().len(), 1, "a name is resolved once for a hop");
    // No connection is kept that would be used without another look.
    assert_eq!(egress.fetch(request("GET", &url)).await.unwrap().body, b"second");
    assert_eq!((first.seen().len(), second.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused() {
    let mut server = Server::start(|asked| match asked.path() {
        "/0" => moved(302, "/1"),
        _ => ok(""),
    })
    .await;
    // Allowed for the first hop by a grant of its own; the second looks again.
    let names = Names::new(&[("flips.test", &[&["127.0.0.1"], &["10.0.0.1"]])]);
    let network = Network::open(limits(), names.clone()).unwrap();
    let host = server.host("flips.test");
    let egress = egress_in(
        network,
        json!([
            {"host": host, "http": true, "private": true, "methods": ["POST"]},
            {"host": host, "http": true, "methods": ["GET"]},
        ]),
    );
    let error = egress.fetch(request("POST", &server.url("flips.test", "/0"))).await.unwrap_err();
    assert!(error.to_string().contains("10.0.0.1, which is a private address"), "{error}");
    assert_eq!(server.seen().len(), 1);
    assert_eq!(names.asked().len(), 2);
}

#[tokio::test]
async fn redirects_are_followed_to_granted_places_only() {
    let mut server = Server::start(|asked| match asked.path() {
        "/relative" => moved(302, "next#part"),
        "/next" => ok("there"),
        "/nowhere" => "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".into(),
        "/unchanged" => "HTTP/1.1 304 Not Modified\r\nlocation: /next\r\n\r\n".into(),
        path => moved(302, path.strip_prefix("/to/").unwrap()),
    })
    .await;
    let names = here(&["a.test", "b.test"]);
    let port = server.port();
    let egress = egress(
        &names,
        json!([
            {"host": format!("a.test:{port}"), "http": true, "private": true},
            {"host": format!("b.test:{port}"), "http": true},
            {"host": "169.254.169.254", "http": true},
        ]),
    );
    let fetch = async |path: &str| egress.fetch(request("GET", &server_url(port, path))).await;
    let answer = fetch("/relative").await.unwrap();
    assert_eq!((answer.url, answer.body), (server_url(port, "/next"), b"there".to_vec()));
    assert_eq!(fetch("/nowhere").await.unwrap().status, 302);
    assert_eq!(fetch("/unchanged").await.unwrap().status, 304);
    server.seen();
    for (to, wanted) in [
        ("https://evil.test/".to_owned(), "not granted: GET https://evil.test: add { host = "),
        (format!("http://b.test:{port}/"), "which is a loopback address"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "which is a link-local address"),
        (format!("http://127.0.0.1:{port}/"), "not granted: GET http://127.0.0.1:"),
        (format!("http://me@a.test:{port}/"), "redirects with a user's name"),
        ("file:///etc/passwd".to_owned(), "redirects to what is neither https nor http"),
        ("https://a..test/".to_owned(), "redirects to what is no proper host name"),
        ("http://[".to_owned(), "redirects to what is no URL"),
    ] {
        let error = fetch(&format!("/to/{to}")).await.unwrap_err().to_string();
        assert!(error.contains(wanted), "{to}: {error}");
        assert_eq!(server.seen().len(), 1, "{to}");
    }
}

fn server_url(port: u16, path: &str) -> String {
    format!("http://a.test:{port}{path}")
}

#[tokio::test]
async fn five_redirects_are_followed_and_no_more() {
    let mut server = Server::start(|asked| match asked.path().strip_prefix('/').unwrap() {
        "loop" => moved(302, "/loop"),
        "0" => ok("done"),
        n => moved(302, &format!("/{}", n.parse::<u32>().unwrap() - 1)),
    })
    .await;
    let egress = egress(
        &here(&["a.test"]),
        json!([{"host": server.host("a.test"), "http": true, "private": true}]),
    );
    let fetch = async |path| egress.fetch(request("GET", &server_url(server.port(), path))).await;
    assert_eq!(fetch("/5").await.unwrap().body, b"done");
    assert!(matches!(fetch("/6").await, Err(EgressError::TooManyRedirects)));
    assert!(matches!(fetch("/loop").await, Err(EgressError::TooManyRedirects)));
    assert_eq!(server.seen().len(), 18);
}

#[tokio::test]
async fn redirects_change_methods_as_rfc_9110_says() {
    let mut server = Server::start(|asked| match asked.path() {
        "/end" => ok(""),
        path => moved(path[1..].parse().unwrap(), "/end"),
    })
    .await;
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE"];
    let egress = egress(
        &here(&["a.test"]),
        json!([{"host": server.host("a.test"), "http": true, "private": true, "methods": methods}]),
    );
    for (status, method, wanted) in [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "HEAD", "HEAD"),
    ] {
        let url = server_url(server.port(), &format!("/{status}"));
        let asked = with(request(method, &url), &[("content-type", "text/plain"), ("x-a", "1")]);
        let body = if method == "HEAD" { "" } else { "hello" };
        egress.fetch(Request { body: body.into(), ..asked }).await.unwrap();
        let [first, last] = server.seen().try_into().unwrap();
        assert_eq!(first.body, body);
        assert_eq!(last.line, format!("{wanted} /end HTTP/1.1"), "{status} {method}");
        let kept = wanted == method;
        assert_eq!(last.body, if kept { body } else { "" }, "{status} {method}");
        assert_eq!(last.values("content-type").len(), usize::from(kept), "{status} {method}");
        assert_eq!(last.values("x-a"), ["1"]);
    }
}

/// A grant of a host on loopback, with a credential.
fn credential_for(host: &str) -> Value {
    json!({
        "host": host, "http": true, "private": true,
        "credential": {
            "header": "authorization", "secret_ref": "env:TOKEN", "format": "Bearer {secret}",
        },
    })
}

#[tokio::test]
async fn a_credential_is_put_where_its_grant_applies_and_nowhere_else() {
    let mut server = Server::start(|asked| match asked.path() {
        "/end" => ok(""),
        path => moved(307, path.strip_prefix("/to/").unwrap()),
    })
    .await;
    let (own, other) = (server.host("own.test"), server.host("other.test"));
    let egress = egress(
        &here(&["own.test", "other.test"]),
        json!([credential_for(&own), {"host": other, "http": true, "private": true}]),
    );
    let bearer = format!("Bearer {SECRET}");
    let mut check = async |from: &str, to: &str, wanted: [&[&str]; 2]| {
        let url = format!("http://{from}/to/http://{to}/end");
        egress.fetch(request("GET", &url)).await.unwrap();
        let [first, last] = server.seen().try_into().unwrap();
        assert_eq!([first.values("authorization"), last.values("authorization")], wanted);
    };
    check(&own, &own, [&[&bearer], &[&bearer]]).await;
    check(&own, &other, [&[&bearer], &[]]).await;
    check(&other, &own, [&[], &[&bearer]]).await;
}

#[tokio::test]
async fn what_a_guest_sets_stays_with_the_origin_it_named() {
    let mut server = Server::start(|asked| match asked.path() {
        "/end" => ok(""),
        path => moved(307, path.strip_prefix("/to/").unwrap()),
    })
    .await;
    let (a, b) = (server.host("a.test"), server.host("b.test"));
    let grant = |host: &str| json!({"host": host, "http": true, "private": true});
    let egress = egress(&here(&["a.test", "b.test"]), json!([grant(&a), grant(&b)]));
    for (to, kept) in [(&a, true), (&b, false)] {
        let asked = with(
            request("GET", &format!("http://{a}/to/http://{to}/end")),
            &[("authorization", "mine"), ("x-api-key", "mine"), ("if-none-match", "\"1\"")],
        );
        egress.fetch(asked).await.unwrap();
        let [first, last] = server.seen().try_into().unwrap();
        for name in ["authorization", "x-api-key"] {
            assert_eq!(first.values(name), ["mine"]);
            assert_eq!(last.values(name).len(), usize::from(kept), "{name} to {to}");
        }
        assert_eq!(last.values("if-none-match"), ["\"1\""]);
    }
}

#[tokio::test]
async fn a_guest_never_sees_a_credential() {
    let mut server = Server::start(|asked| {
        let token = asked.values("authorization")[0];
        let location = format!("/echo?{token}&{SECRET}");
        match asked.path() {
            "/" => moved(302, &location.replace(' ', "+")),
            _ => format!(
                "HTTP/1.1 200 OK\r\nx-echo: <{token}>\r\ncontent-length: {}\r\n\r\n<{token}{token}>",
                2 * token.len() + 2
            ),
        }
    })
    .await;
    let egress = egress(&here(&["a.test"]), json!([credential_for(&server.host("a.test"))]));
    let url = server.url("a.test", "/");
    let response = egress.fetch(request("GET", &url)).await.unwrap();
    let stars = "*".repeat(SECRET.len());
    assert_eq!(response.body, format!("<Bearer {stars}Bearer {stars}>").into_bytes());
    assert!(response.headers.contains(&("x-echo".into(), format!("<Bearer {stars}>").into())));
    assert!(response.url.ends_with(&format!("/echo?Bearer+{stars}&{stars}")), "{}", response.url);
    assert_eq!(server.seen().len(), 2);
    let shown = format!("{egress:?}");
    assert!(!shown.contains(SECRET), "{shown}");
}

#[tokio::test]
async fn a_guests_header_never_meets_the_credential() {
    let mut server = Server::start(|_| ok("")).await;
    let egress = egress(&here(&["a.test"]), json!([credential_for(&server.host("a.test"))]));
    let asked =
        with(request("GET", &server.url("a.test", "/")), &[("Authorization", "Bearer mine")]);
    let error = egress.fetch(asked).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the request's header `authorization` is the credential that the host sets"
    );
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn malformed_requests_go_nowhere() {
    let names = here(&["a.test"]);
    let egress = egress(&names, json!([{"host": "a.test"}]));
    let check = async |request: Request, wanted: &str| {
        let error = egress.fetch(request).await.unwrap_err();
        assert!(matches!(error, EgressError::Invalid(_)), "{error:?}");
        assert!(error.to_string().contains(wanted), "{error}");
    };
    for method in ["get", "CONNECT", "TRACE", "", "G ET"] {
        check(request(method, "https://a.test/"), "is none of GET").await;
    }
    for (url, wanted) in [
        ("a.test", "is not an absolute URL"),
        ("/rss", "is not an absolute URL"),
        ("https://", "is not an absolute URL"),
        ("ftp://a.test/", "is neither https nor http"),
        ("file:///etc/passwd", "is neither https nor http"),
        ("data:,x", "is neither https nor http"),
        ("https://me@a.test/", "has a user's name"),
        ("https://:secret@a.test/", "has a user's name"),
        ("https://a.test/#part", "has a fragment"),
        ("https://a.test./", "has no proper host name"),
        ("https://a..test/", "has no proper host name"),
        ("https://*.test/", "has no proper host name"),
    ] {
        check(request("GET", url), wanted).await;
    }
    let long = format!("https://a.test/{}", "x".repeat(9000));
    check(request("GET", &long), "URL is more than").await;
    for name in [
        "Host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "cookie",
        "proxy-authorization",
        "Proxy-Connection",
        "accept-encoding",
    ] {
        let asked = with(request("GET", "https://a.test/"), &[(name, "x")]);
        check(asked, "is not a guest's to set").await;
    }
    for (name, value, wanted) in [
        ("", "x", "is not a name"),
        ("two words", "x", "is not a name"),
        ("x:y", "x", "is not a name"),
        ("x-a\r\nhost", "x", "is not a name"),
        ("x-a", "x\r\nhost: evil", "holds what no header may hold"),
        ("x-a", "\0", "holds what no header may hold"),
    ] {
        check(with(request("GET", "https://a.test/"), &[(name, value)]), wanted).await;
    }
    let large = "x".repeat(17 * 1024);
    check(with(request("GET", "https://a.test/"), &[("x-a", &large)]), "header is more").await;
    let body = vec![0; 1024 * 1024 + 1].into();
    check(Request { body, ..request("GET", "https://a.test/") }, "body is more than").await;
    assert!(names.asked().is_empty());
}

#[tokio::test]
async fn answers_have_an_end() {
    let server = Server::start(|asked| match asked.path() {
        "/exact" => ok(&"x".repeat(1000)),
        "/announced" => ok(&"x".repeat(1001)),
        "/chunked" => {
            let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n")
        }
        "/headers" => {
            let header = format!("x-a: {}\r\n", "x".repeat(4000));
            format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", header.repeat(20))
        }
        "/gzip" => "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n".into(),
        "/short" => "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".into(),
        _ => "SSH-2.0-OpenSSH\r\n\r\n".into(),
    })
    .await;
    let egress = egress(
        &here(&["a.test"]),
        json!([{"host": server.host("a.test"), "http": true, "private": true}]),
    );
    let fetch =
        async |method, path| egress.fetch(request(method, &server_url(server.port(), path))).await;
    assert_eq!(fetch("GET", "/exact").await.unwrap().body.len(), 1000);
    assert_eq!(fetch("HEAD", "/announced").await.unwrap().status, 200);
    for (path, wanted) in [
        ("/announced", "the answer's contents are more than 1000 bytes"),
        ("/chunked", "the answer's contents are more than 1000 bytes"),
        ("/headers", "the answer's headers are more than 65536 bytes"),
        ("/gzip", "gives no proper answer: it is compressed"),
        ("/short", "gives no proper answer"),
        ("/nonsense", "gives no proper answer"),
    ] {
        let error = fetch("GET", path).await.unwrap_err().to_string();
        assert!(error.contains(wanted), "{path}: {error}");
        assert!(!error.contains(path), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let limit = Duration::from_millis(300);
    for part in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"] {
        let server = Server::start_and_stall(part).await;
        let limits = EgressLimits { time: limit, ..limits() };
        let network = Network::open(limits, here(&["a.test"])).unwrap();
        let grants = json!([{"host": server.host("a.test"), "http": true, "private": true}]);
        let url = server.url("a.test", "/");
        let error = egress_in(network, grants).fetch(request("GET", &url)).await.unwrap_err();
        assert!(matches!(error, EgressError::TimedOut { limit: l } if l == limit), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_said_without_details() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let egress = egress(
        &here(&["a.test"]),
        json!([
            {"host": format!("a.test:{port}"), "http": true, "private": true},
            {"host": "unknown.test"},
        ]),
    );
    let error = egress.fetch(request("GET", &server_url(port, "/?token=1"))).await.unwrap_err();
    assert!(matches!(error, EgressError::Unreachable { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("token"), "{error:?}");
    let error = egress.fetch(request("GET", "https://unknown.test/?token=1")).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot resolve unknown.test");
}

#[tokio::test]
async fn certificates_are_checked_against_the_name_and_the_authorities() {
    let authority = Authority::new();
    let mut server = Server::start_tls(authority.acceptor("a.test"), |asked| match asked.path() {
        "/down" => moved(302, "http://a.test/"),
        _ => ok("secure"),
    })
    .await;
    let names = here(&["a.test", "b.test"]);
    let port = server.port();
    let grants = json!([
        {"host": format!("a.test:{port}"), "private": true},
        {"host": format!("b.test:{port}"), "private": true},
        {"host": "a.test", "http": true, "private": true},
    ]);
    let strangers = egress_in(Network::open(limits(), names.clone()).unwrap(), grants.clone());
    let trusting = EgressLimits { ca_file: Some(authority.file()), ..limits() };
    let friends = egress_in(Network::open(trusting, names).unwrap(), grants);
    let (a, b) = (format!("https://a.test:{port}/"), format!("https://b.test:{port}/"));
    let answer = friends.fetch(request("GET", &a)).await.unwrap();
    assert_eq!(answer.body, b"secure");
    for (egress, url) in [(&strangers, &a), (&friends, &b)] {
        let error = egress.fetch(request("GET", url)).await.unwrap_err();
        assert!(
            matches!(&error, EgressError::Unreachable { reason, .. }
            if reason.contains("certificate")),
            "{error}"
        );
    }
    assert_eq!(server.seen().len(), 1);
    let error = friends.fetch(request("GET", &format!("{a}down"))).await.unwrap_err();
    assert!(error.to_string().ends_with("redirects from https to http"), "{error}");
}

#[test]
fn a_file_of_certificates_holds_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let open = || {
        let limits = EgressLimits { ca_file: Some(file.clone()), ..limits() };
        Network::open(limits, Arc::new(System))
    };
    assert!(matches!(open(), Err(NetworkError::CaFile { .. })));
    std::fs::write(&file, "no certificate").unwrap();
    assert!(matches!(open(), Err(NetworkError::CaFile { .. })));
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&file, nonsense).unwrap();
    assert!(matches!(open(), Err(NetworkError::Certificate { .. })));
}

#[test]
fn every_unusable_secret_is_reported() {
    let network = Arc::new(Network::open(limits(), Arc::new(System)).unwrap());
    let grant = |name: &str| {
        let credential = json!({"header": "authorization", "secret_ref": format!("env:{name}")});
        let draft = json!({"host": "a.test", "credential": credential});
        serde_json::from_value::<GrantDraft>(draft).unwrap().parse().unwrap()
    };
    let read = |reference: &SecretRef| match reference.to_string().as_str() {
        "env:GOOD" => Ok(Secret::new(b"good".to_vec()).unwrap()),
        "env:LINES" => Ok(Secret::new(b"two\nlines".to_vec()).unwrap()),
        _ => Err("is not set"),
    };
    let grants = vec![grant("GOOD"), grant("LINES"), grant("UNSET")];
    let problems = Egress::new(network, "rss".parse().unwrap(), grants, read).unwrap_err();
    let found: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.reason.as_str())).collect();
    assert_eq!(
        found,
        [
            ("grants[1].credential.secret_ref", "the secret holds what cannot stand in a header"),
            ("grants[2].credential.secret_ref", "is not set"),
        ]
    );
}
