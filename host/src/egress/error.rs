//! Why there is no answer. Nothing here holds a path, a query, a header's value or a body.

use std::io;
use std::time::Duration;

use super::REDIRECTS_MAX;
use crate::model::egress::{Denial, InvalidMethod};

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The request is not one.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// No grant allows it.
    #[error("not granted: {0}")]
    Denied(#[from] Denial),
    /// An answer leads where no request may go.
    #[error("{origin} redirects {reason}")]
    Redirect {
        /// Who redirects.
        origin: String,
        /// Where to.
        reason: &'static str,
    },
    /// There was no end to the redirects.
    #[error("more than {REDIRECTS_MAX} redirects")]
    TooManyRedirects,
    /// The name leads to no address.
    #[error("cannot resolve {host}")]
    Unresolved {
        /// The name.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// No connection, or none that can be trusted.
    #[error("cannot connect to {origin}: {reason}")]
    Unreachable {
        /// The server.
        origin: String,
        /// Why.
        reason: String,
    },
    /// The answer broke off, or is not HTTP.
    #[error("{origin} gives no proper answer: {reason}")]
    Broken {
        /// The server.
        origin: String,
        /// Why.
        reason: String,
    },
    /// The answer was not complete in time.
    #[error("no complete answer within {limit:?}")]
    TimedOut {
        /// The time that a request has, redirects and all.
        limit: Duration,
    },
    /// The answer is too large to hold.
    #[error("the answer's {part} are more than {bytes_max} bytes")]
    TooLarge {
        /// `headers` or `contents`.
        part: &'static str,
        /// The limit.
        bytes_max: usize,
    },
}

/// What is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRequest {
    /// Its method cannot be granted.
    #[error(transparent)]
    Method(#[from] InvalidMethod),
    /// Its address is not one to ask at.
    #[error("the request's URL {0}")]
    Url(&'static str),
    /// One of its headers cannot be set.
    #[error("the request's header `{name}` {reason}")]
    Header {
        /// The header.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// It is too large.
    #[error("the request's {part} is more than {bytes_max} bytes")]
    TooLarge {
        /// The part.
        part: &'static str,
        /// The limit.
        bytes_max: usize,
    },
}
