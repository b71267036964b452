//! The way of spans to a collector: OTLP over HTTP, by the client that is here already.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::Url;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// How long a collector may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Where a collector takes traces, below its endpoint.
const PATH: &str = "v1/traces";

/// Why no spans can be sent.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no client.
    #[error("spans cannot be sent")]
    Client(#[from] reqwest::Error),
    /// There is no exporter.
    #[error("spans cannot be sent to telemetry.otlp_endpoint")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What sends spans to a collector.
///
/// # Errors
/// When they cannot be sent there.
pub(super) fn provider(endpoint: &Url) -> Result<SdkTracerProvider, ExportError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Way::to(endpoint)?)
        .with_endpoint(address(endpoint))
        .with_timeout(PATIENCE)
        .build()?;
    let resource = Resource::builder()
        .with_service_name("hillock")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// What hands the host's own spans to it; log lines stay where they are.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    let own = filter_fn(|said| said.is_span() && said.target().starts_with("hillock"));
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("hillock"));
    layer.with_location(false).with_threads(false).with_target(false).with_filter(own)
}

fn address(endpoint: &Url) -> String {
    let base = endpoint.as_str().trim_end_matches('/');
    if base.ends_with(PATH) { base.to_owned() } else { format!("{base}/{PATH}") }
}

/// Requests are made on the program's runtime: the thread that sends spans has none.
#[derive(Debug)]
struct Way {
    http: reqwest::Client,
    runtime: Handle,
    /// Whether the last request was in vain, which is said once.
    lost: AtomicBool,
}

impl Way {
    fn to(endpoint: &Url) -> Result<Self, reqwest::Error> {
        let mut http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none());
        if endpoint.scheme() == "http" {
            // The system's certificates take time, and a container may have none.
            http = http.tls_certs_only([]);
        }
        Ok(Self { http: http.build()?, runtime: Handle::current(), lost: AtomicBool::new(false) })
    }

    fn note(&self, why: Option<String>) {
        let before = self.lost.swap(why.is_some(), Ordering::Relaxed);
        match why {
            Some(why) if !before => tracing::warn!(why, "failed to export spans"),
            None if before => tracing::info!("span export recovered"),
            _ => {}
        }
    }
}

async fn send(
    http: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let response = http.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    let body = response.bytes().await?;
    Ok(Response::builder().status(status).body(body)?)
}

impl HttpClient for Way {
    fn send_bytes<'way, 'sending>(
        &'way self,
        request: Request<Bytes>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sending>>
    where
        'way: 'sending,
        Self: 'sending,
    {
        Box::pin(async move {
            let sending = self.runtime.spawn(send(self.http.clone(), request)).await;
            let sent = sending.unwrap_or_else(|gone| Err(gone.into()));
            self.note(match &sent {
                Ok(response) if response.status().is_success() => None,
                Ok(response) => Some(response.status().to_string()),
                Err(error) => Some(error.to_string()),
            });
            sent
        })
    }
}
