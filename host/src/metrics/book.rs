//! The one list of metrics: what is scraped and what is described are both made from it.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};
use serde::Serialize;

use crate::model::time::Time;

/// The upper ends of the buckets of what takes a moment, in seconds.
const MOMENTS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Of what may take minutes, in seconds.
const SPANS: [f64; 9] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0];

/// A metric, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// Its name; a histogram's has `_bucket`, `_sum` and `_count` behind it.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it is measured in; none for a plain number.
    pub unit: Option<&'static str>,
    /// Its labels.
    pub labels: Vec<&'static str>,
    /// What it means.
    pub help: &'static str,
}

/// All metrics.
#[derive(Debug, Default)]
pub(super) struct Book {
    registry: Registry,
    described: Vec<Described>,
}

impl Book {
    /// A count of what happened, by labels.
    pub(super) fn counts<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Counts<N> {
        let family = Family::default();
        self.enter(name, "counter", None, &labels, help, family.clone());
        Counts { labels, family }
    }

    /// A value that goes up and down, by labels.
    pub(super) fn gauges<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Gauges<N> {
        self.values(name, None, labels, help)
    }

    /// The same in seconds, or in seconds since the Unix epoch.
    pub(super) fn gauges_of_seconds<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Gauges<N> {
        self.values(name, Some(Unit::Seconds), labels, help)
    }

    fn values<const N: usize>(
        &mut self,
        name: &'static str,
        unit: Option<Unit>,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Gauges<N> {
        let family = Family::default();
        self.enter(name, "gauge", unit, &labels, help, family.clone());
        Gauges { labels, family }
    }

    /// How long something of a moment takes, by labels.
    pub(super) fn moments<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Times<N> {
        self.times(name, labels, help, || Histogram::new(MOMENTS))
    }

    /// How long something of seconds or minutes takes, by labels.
    pub(super) fn spans<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Times<N> {
        self.times(name, labels, help, || Histogram::new(SPANS))
    }

    fn times<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
        make: fn() -> Histogram,
    ) -> Times<N> {
        let family = Family::new_with_constructor(make);
        self.enter(name, "histogram", Some(Unit::Seconds), &labels, help, family.clone());
        Times { labels, family }
    }

    fn enter(
        &mut self,
        name: &'static str,
        kind: &'static str,
        unit: Option<Unit>,
        labels: &[&'static str],
        help: &'static str,
        metric: impl Metric,
    ) {
        let (suffix, word) = match (&unit, kind) {
            (Some(_), _) => ("_seconds", Some("seconds")),
            (None, "counter") => ("_total", None),
            (None, _) => ("", None),
        };
        let labels = labels.to_vec();
        let full = format!("{name}{suffix}");
        self.described.push(Described { name: full, kind, unit: word, labels, help });
        match unit {
            Some(unit) => self.registry.register_with_unit(name, help, unit, metric),
            None => self.registry.register(name, help, metric),
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn described(&self) -> &[Described] {
        &self.described
    }
}

type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

fn labelled<const N: usize, V: Into<Cow<'static, str>>>(
    names: [&'static str; N],
    values: [V; N],
) -> Labels<N> {
    let mut names = names.into_iter();
    values.map(|value| (names.next().unwrap_or_default(), value.into()))
}

/// Counts by labels.
#[derive(Clone, Debug)]
pub(super) struct Counts<const N: usize> {
    labels: [&'static str; N],
    family: Family<Labels<N>, Counter>,
}

impl<const N: usize> Counts<N> {
    /// Counts; with nothing to count, it shows that there is such a thing.
    pub(super) fn add(&self, values: [&'static str; N], count: u64) {
        self.family.get_or_create(&labelled(self.labels, values)).inc_by(count);
    }
}

/// Values by labels.
#[derive(Clone, Debug)]
pub(super) struct Gauges<const N: usize> {
    labels: [&'static str; N],
    family: Family<Labels<N>, Gauge<f64, AtomicU64>>,
}

impl<const N: usize> Gauges<N> {
    pub(super) fn set(&self, values: [&'static str; N], value: f64) {
        self.family.get_or_create(&labelled(self.labels, values)).set(value);
    }

    /// Forgets all values: nobody knows them.
    pub(super) fn clear(&self) {
        self.family.clear();
    }
}

/// Seconds since the Unix epoch.
pub(super) fn seconds_of(at: Time) -> f64 {
    at.as_millis() as f64 / 1000.0
}

/// How long things take, by labels.
#[derive(Clone, Debug)]
pub(super) struct Times<const N: usize> {
    labels: [&'static str; N],
    family: Family<Labels<N>, Histogram, fn() -> Histogram>,
}

impl<const N: usize> Times<N> {
    pub(super) fn observe<V: Into<Cow<'static, str>>>(&self, values: [V; N], took: Duration) {
        let labels = labelled(self.labels, values);
        self.family.get_or_create(&labels).observe(took.as_secs_f64());
    }
}
