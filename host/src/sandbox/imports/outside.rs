//! What extensions alone have: the real time, and what their caller lets them fetch.

use wasmtime::component::{HasSelf, Linker};

use super::Result;
use crate::sandbox::bindings::{clock, http};
use crate::sandbox::extension::{HttpError, HttpRequest, HttpResponse};
use crate::sandbox::guest::Guest;

pub(super) fn link(linker: &mut Linker<Guest>) -> Result<()> {
    clock::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    http::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)
}

impl clock::Host for Guest {
    fn now(&mut self) -> Result<u64> {
        self.meter.host_call()?;
        let now = self.outside.as_ref().map_or(0, |outside| outside.now().as_millis());
        Ok(u64::try_from(now).unwrap_or(0))
    }
}

impl http::Host for Guest {
    async fn fetch(
        &mut self,
        request: http::Request,
    ) -> Result<std::result::Result<http::Response, http::HttpError>> {
        self.meter.host_call()?;
        let Some(outside) = &mut self.outside else {
            let reason = "nothing is fetched while a configuration is checked".to_owned();
            return Ok(Err(http::HttpError::Denied(reason)));
        };
        let answer = outside.fetch(request_of(request))?.await;
        if let Err(HttpError::Denied(_)) = &answer {
            outside.denied();
        }
        Ok(answer.map(response_of).map_err(error_of))
    }
}

fn request_of(said: http::Request) -> HttpRequest {
    let http::Request { method, url, headers, body } = said;
    HttpRequest { method, url, headers, body: body.map(Into::into) }
}

fn response_of(response: HttpResponse) -> http::Response {
    let HttpResponse { status, headers, body, url } = response;
    http::Response { status, headers, body: body.into(), url }
}

fn error_of(error: HttpError) -> http::HttpError {
    match error {
        HttpError::Denied(line) => http::HttpError::Denied(line),
        HttpError::InvalidRequest(reason) => http::HttpError::InvalidRequest(reason),
        HttpError::Timeout => http::HttpError::Timeout,
        HttpError::TooLarge(bytes_max) => http::HttpError::TooLarge(bytes_max),
        HttpError::Failed(reason) => http::HttpError::Failed(reason),
    }
}
