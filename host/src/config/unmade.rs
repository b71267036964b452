//! Triggers that listen for what nothing in the files makes. It may be made by what somebody defines
//! over the API, so it is no error; most often it is a slip.
//!
//! Of a component that does not come with the host nobody knows what kinds it makes: where a trigger
//! may hear of one, nothing is said.

use super::definitions::Declared;
use crate::model::definition::{Definition, Endpoint, Point, Trigger, Watch};
use crate::model::name::KindPattern;
use crate::model::near::guess;
use crate::model::problem::Problems;
use crate::model::scope::Scope;

/// The source components that come with the host, and how the kinds of their events begin.
const SOURCES: [(&str, &str); 3] =
    [("github", "github."), ("generic", "webhook"), ("standard-webhooks", "webhook")];

/// What makes events in one workspace.
#[derive(Debug, Default)]
struct Makers<'d> {
    /// How kinds begin that something makes.
    beginnings: Vec<String>,
    /// Whether there is something of which nobody knows what it makes.
    unknown: bool,
    /// The extensions.
    extensions: Vec<&'d str>,
}

/// Every trigger that listens for what nothing declared makes.
pub fn events(declared: &[Declared]) -> Problems {
    let mut problems = Problems::default();
    for Declared { path, definition, .. } in declared {
        let Definition::Trigger(trigger, own) = definition else { continue };
        let makers = match endpoint_of(trigger, own.as_ref(), declared) {
            Some(endpoint) => Makers::of_endpoint(endpoint),
            None => Makers::of(&trigger.scope, declared),
        };
        if let Some(reason) = makers.reason_against(&trigger.event) {
            problems.add(format!("{path}.event"), reason);
        }
    }
    problems
}

/// The only endpoint that a trigger listens to.
fn endpoint_of<'d>(
    trigger: &'d Trigger,
    own: Option<&'d Endpoint>,
    declared: &'d [Declared],
) -> Option<&'d Endpoint> {
    let slug = trigger.endpoint.as_ref()?;
    own.or_else(|| {
        declared.iter().find_map(|one| match &one.definition {
            Definition::Endpoint(endpoint)
                if endpoint.slug == *slug && endpoint.scope == trigger.scope =>
            {
                Some(endpoint)
            }
            _ => None,
        })
    })
}

impl<'d> Makers<'d> {
    fn of_endpoint(endpoint: &Endpoint) -> Self {
        let mut makers = Self::default();
        makers.add_source(endpoint.source.as_str());
        makers
    }

    fn of(scope: &Scope, declared: &'d [Declared]) -> Self {
        let mut makers = Self::default();
        makers.beginnings.extend(points().map(|point| format!("hook.{point}")));
        for one in declared.iter().filter(|one| one.scope() == scope) {
            makers.add(&one.definition);
        }
        makers
    }

    fn add(&mut self, definition: &'d Definition) {
        match definition {
            Definition::Endpoint(endpoint) | Definition::Trigger(_, Some(endpoint)) => {
                self.add_source(endpoint.source.as_str());
            }
            Definition::Hook(hook) => {
                let pre_fire = hook.points.iter().all(|point| point.is_pre_fire());
                self.unknown |= !pre_fire && hook.component.as_str() != "lifecycle";
            }
            Definition::Observer(observer) if observer.component.as_str() == "watch" => {
                self.beginnings.push(match observer.watch {
                    Watch::Files { .. } => "file.".to_owned(),
                    Watch::Queue { .. } => "queue.".to_owned(),
                    Watch::Runs => "run.".to_owned(),
                });
            }
            Definition::Observer(_) => self.unknown = true,
            Definition::Extension(extension) => {
                self.beginnings.push(format!("ext.{}.", extension.name));
                self.extensions.push(extension.name.as_str());
            }
            Definition::Agent(_) | Definition::Trigger(_, None) | Definition::Job(_) => {}
        }
    }

    fn add_source(&mut self, source: &str) {
        match SOURCES.iter().find(|(name, _)| *name == source) {
            Some((_, beginning)) => self.beginnings.push((*beginning).to_owned()),
            None => self.unknown = true,
        }
    }

    /// Why nothing makes what is listened for; none when something may.
    fn reason_against(&self, event: &KindPattern) -> Option<String> {
        let wanted = event.to_string();
        let kind = wanted.trim_end_matches(".*");
        let (first, rest) = kind.split_once('.').unwrap_or((kind, ""));
        // Only an extension can make its kinds.
        if self.unknown && first != "ext" || self.beginnings.iter().any(|one| meets(one, event)) {
            return None;
        }
        let near = match first {
            "ext" => {
                let name = rest.split('.').next().unwrap_or_default();
                guess(self.extensions.iter().copied(), name)
            }
            "hook" => {
                let points: Vec<&str> = points().map(Point::as_str).collect();
                guess(points, rest)
            }
            _ => {
                let firsts = self.beginnings.iter().filter_map(|one| one.split('.').next());
                guess(firsts, first)
            }
        };
        Some(format!("nothing defined here makes `{wanted}`{near}"))
    }
}

/// The points of which a hook can tell afterwards.
fn points() -> impl Iterator<Item = Point> {
    Point::ALL.iter().map(|(point, _)| *point).filter(|point| !point.is_pre_fire())
}

/// Whether kinds that begin like this may be meant.
fn meets(beginning: &str, event: &KindPattern) -> bool {
    let below = |kind: &str, prefix: &str| {
        kind.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let whole = beginning.trim_end_matches('.');
    match event {
        KindPattern::Exact(kind) if beginning.starts_with("hook.") => kind.as_str() == beginning,
        KindPattern::Exact(kind) => {
            below(kind.as_str(), whole) && (!beginning.ends_with('.') || kind.as_str() != whole)
        }
        KindPattern::Below(prefix) => {
            below(prefix.as_str(), whole) || below(whole, prefix.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Overrides};

    /// What is said of a trigger that listens for `event` beside these definitions.
    fn said(beside: &str, event: &str) -> String {
        let text = format!(
            "[[agents]]\nname = \"a\"\n{beside}\n[[triggers]]\nname = \"t\"\nagent = \"a\"\n\
             prompt = \"x\"\nevent = \"{event}\""
        );
        let path = Path::new("hillock.toml");
        let config = Config::parse(&text, path, &Overrides::default()).unwrap();
        events(&config.declared).to_string()
    }

    const GITHUB: &str =
        "[[endpoints]]\nslug = \"gh\"\nsource = \"github\"\nsecret_ref = \"env:S\"";
    const OWN: &str = "[[endpoints]]\nslug = \"o\"\nsource = \"own\"\nsecret_ref = \"env:S\"";
    const RSS: &str = "[[extensions]]\nname = \"news\"\ncomponent = \"rss\"";
    const FILES: &str = "[[observers]]\nname = \"f\"\nwatch = \"files\"\nfolders = [\"/a\"]";

    #[test]
    fn what_something_makes_is_nothing_to_speak_of() {
        for (beside, event) in [
            (GITHUB, "github.push"),
            (GITHUB, "github.*"),
            ("", "hook.run.failed"),
            ("", "hook.*"),
            ("", "hook.run.*"),
            (OWN, "anything.at.all"),
            (RSS, "ext.news.item"),
            (RSS, "ext.*"),
            (FILES, "file.created"),
            ("[[endpoints]]\nslug = \"g\"\nverification = \"none\"", "webhook"),
        ] {
            assert_eq!(said(beside, event), "", "{event}");
        }
    }

    #[test]
    fn what_nothing_makes_is_said_with_a_guess() {
        for (beside, event, wanted) in [
            ("", "github.push", "triggers[0].event: nothing defined here makes `github.push`"),
            (GITHUB, "gihtub.push", "makes `gihtub.push`; did you mean `github`?"),
            (GITHUB, "github", "makes `github`"),
            (RSS, "ext.nws.item", "makes `ext.nws.item`; did you mean `news`?"),
            (OWN, "ext.news.item", "makes `ext.news.item`"),
            ("", "hook.run.faild", "makes `hook.run.faild`; did you mean `run.failed`?"),
            ("", "hook.trigger.pre_fire", "makes `hook.trigger.pre_fire`"),
            (FILES, "queue.backlog", "makes `queue.backlog`"),
            ("[[endpoints]]\nslug = \"g\"\nverification = \"none\"", "github.push", "github.push"),
        ] {
            let said = said(beside, event);
            assert!(said.contains(wanted), "{event}: {said}");
        }
    }
}
