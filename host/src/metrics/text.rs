//! Values as text: OpenMetrics for who asks for it, else the older format that everybody reads.

use prometheus_client::encoding::text::encode;

use super::book::Book;

/// A format of the exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's own text format, 0.0.4.
    Plain,
}

impl Form {
    /// The format for who accepts this.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }

    /// How it is called on the wire.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    pub(super) fn write(self, book: &Book) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, book.registry());
        // What has no labels is written as it is everywhere else.
        let text = text.replace("{} ", " ");
        match self {
            Self::OpenMetrics => text,
            Self::Plain => plain(&text),
        }
    }
}

/// The older format calls a counter by the name of its samples, and knows neither units nor an end.
fn plain(open: &str) -> String {
    let mut plain = String::with_capacity(open.len());
    let mut help = "";
    for line in open.lines() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        if let Some(said) = line.strip_prefix("# HELP ") {
            help = said;
            continue;
        }
        match line.strip_prefix("# TYPE ").and_then(|said| said.split_once(' ')) {
            Some((name, kind)) => {
                let suffix = if kind == "counter" { "_total" } else { "" };
                let meaning = help.split_once(' ').map_or("", |(_, meaning)| meaning);
                plain += &format!("# HELP {name}{suffix} {meaning}\n");
                plain += &format!("# TYPE {name}{suffix} {kind}\n");
            }
            None => {
                plain += line;
                plain.push('\n');
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_counters_as_their_samples() {
        let open = "# HELP a Counts.\n# TYPE a counter\na_total{b=\"c\"} 1\n\
                    # HELP d_seconds Takes.\n# TYPE d_seconds gauge\n# UNIT d_seconds seconds\n\
                    d_seconds 2.5\n# EOF\n";
        let wanted = "# HELP a_total Counts.\n# TYPE a_total counter\na_total{b=\"c\"} 1\n\
                      # HELP d_seconds Takes.\n# TYPE d_seconds gauge\nd_seconds 2.5\n";
        assert_eq!(plain(open), wanted);
    }

    #[test]
    fn open_metrics_is_for_who_asks() {
        for (accept, wanted) in [
            ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", Form::OpenMetrics),
            ("text/plain", Form::Plain),
            ("*/*", Form::Plain),
            ("", Form::Plain),
        ] {
            assert_eq!(Form::accepted(accept), wanted, "{accept}");
        }
    }
}
