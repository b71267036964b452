//! What a host tells of itself: values that move as they must, names that every tool accepts, and
//! nothing in them that is anybody's own; and the trace that goes through all of it.

mod names;
mod traces;
mod values;

use std::path::PathBuf;

use crate::harness::client::Answer;
use crate::harness::host::Host;

/// What a scrape gave, in the older text format.
#[derive(Debug)]
struct Scrape(String);

impl Scrape {
    async fn of(host: &Host) -> Self {
        let answer = Answer::of(host.http.get(format!("{}/metrics", host.url))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        Self(answer.body)
    }

    /// The value of a series, as it is written; none when there is none.
    fn value(&self, series: &str) -> Option<f64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    #[track_caller]
    fn check(&self, wanted: &[(&str, f64)]) {
        for (series, value) in wanted {
            assert_eq!(self.value(series), Some(*value), "{series} in\n{}", self.0);
        }
    }

    /// The names that have a type.
    fn names(&self) -> Vec<&str> {
        let types = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| line.split(' ').next()).collect()
    }
}

/// Prometheus's own tool, where it is to be had; a test that cannot use it says so.
fn promtool(test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("HILLOCK_TEST_PROMTOOL").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut installed = std::env::split_paths(&path).map(|folder| folder.join("promtool"));
    let found = named.or_else(|| installed.find(|file| file.is_file()));
    if found.is_none() {
        eprintln!("skipped: {test}: there is no promtool on this machine");
    }
    found
}
