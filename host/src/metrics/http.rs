//! Requests to this host.

use std::borrow::Cow;
use std::time::Duration;

use super::book::{Book, Times};

/// Requests to this host.
#[derive(Debug)]
pub struct Http {
    requests: Times<3>,
}

impl Http {
    pub(super) fn new(book: &mut Book) -> Self {
        let help = "How long requests took until their answer began, by the route's template and \
                    the class of the answer's status";
        let labels = ["method", "route", "status"];
        Self { requests: book.moments("hillock_http_request_duration", labels, help) }
    }

    /// A request was answered; the route is its template, and none when nothing is there.
    pub fn answered(&self, method: &str, route: Option<&str>, status: u16, took: Duration) {
        let route = route.map_or("none".into(), |route| Cow::Owned(route.to_owned()));
        self.requests.observe([method_of(method).into(), route, class_of(status).into()], took);
    }
}

/// A client may say any word for a method.
fn method_of(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

fn class_of(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
