//! `[[jobs]]`.

use std::time::Duration;

use super::fields::{Fields, count, duration_or_none, flag, some_text, text, word};
use super::{demands, firing, prompt, scope};
use crate::model::definition::{
    Assignment, CATCH_UP_MAX, CatchUp, Job, MISFIRE_GRACE, Overlap, Retry, Work,
};
use crate::model::id::JobId;
use crate::model::name::Name;
use crate::model::schedule::{Schedule, Spec};

/// The most missed slots that a job may catch up with: they are made runs in one transaction.
const CATCH_UP_CEILING: u32 = 100;
/// The longest grace of a slot, in seconds: a year.
const GRACE_CEILING: u32 = 366 * 24 * 60 * 60;

pub(super) fn parse(mut fields: Fields<'_>, id: Option<JobId>) -> Option<Job> {
    let name: Option<Name> = fields.required("name", word);
    let scope = scope(&mut fields);
    let schedule = schedule(&mut fields);
    let work = work(&mut fields, name.as_ref());
    let agent = fields.required("agent", word);
    let fire_limit = firing::fire_limit(&mut fields);
    let priority = firing::priority(&mut fields);
    let demands = demands::parse(&mut fields);
    // A task goes by the policy itself.
    let is_task = matches!(work, Some(Work::Task(_)));
    let policy = demands.as_ref().and_then(|demands| demands.policy.as_ref());
    let retry = firing::retry_or_policys(&mut fields, policy.filter(|_| !is_task));
    if is_task && matches!(retry, Some(Retry::Backoff { .. })) {
        fields.problem("retry", "must be `none` beside a task: the task has its own");
    }
    let overlap = fields.or("overlap", Overlap::default(), word);
    let catch_up = fields.or("catch_up_policy", CatchUp::default(), word);
    let grace = u32::try_from(MISFIRE_GRACE.as_secs()).unwrap_or(GRACE_CEILING);
    let grace = fields.or("misfire_grace_seconds", grace, count(0, GRACE_CEILING));
    let catch_up_max = fields.or("catch_up_max", CATCH_UP_MAX, count(1, CATCH_UP_CEILING));
    let jitter = fields.or("jitter", Duration::ZERO, duration_or_none);
    let enabled = fields.or("enabled", true, flag);
    fields.close();
    let (scope, name) = (scope?, name?);
    Some(Job {
        id: id.unwrap_or_else(|| JobId::derive(&scope, name.as_str())),
        scope,
        name,
        schedule: schedule?,
        work: work?,
        agent: agent?,
        retry: retry?,
        fire_limit: fire_limit?,
        priority: priority?,
        demands: demands?,
        overlap: overlap?,
        catch_up: catch_up?,
        misfire_grace: Duration::from_secs(grace?.into()),
        catch_up_max: catch_up_max?,
        jitter: jitter?,
        enabled: enabled?,
    })
}

/// `schedule = { cron | every | at, … }`.
fn schedule(fields: &mut Fields<'_>) -> Option<Schedule> {
    if !fields.has("schedule") {
        fields.problem("schedule", "is missing: { cron = … }, { every = … } or { at = … }");
        let _ = fields.raw("schedule");
        return None;
    }
    let mut inner = fields.table("schedule")?;
    let mode = inner.optional("mode", text);
    let cron = inner.optional("cron", text);
    let every = inner.optional("every", text);
    let at = inner.optional("at", text);
    let seconds = inner.or("seconds", false, flag);
    let anchor = inner.optional("anchor", text);
    let timezone = inner.optional("timezone", text);
    if let Some(Some(mode)) = &mode {
        let given = [("cron", &cron), ("every", &every), ("at", &at)];
        match given.iter().find(|(name, _)| name == mode) {
            None => inner.problem("mode", format!("`{mode}` is none of cron, every, at")),
            Some((name, Some(None))) => {
                let name = (*name).to_owned();
                inner.problem(&name, "is missing, though mode says so");
            }
            Some(_) => {}
        }
    }
    // Without a field of the wrong type, the others may still be wrong.
    let spec = Spec {
        cron: cron.as_ref().and_then(Option::as_deref),
        every: every.as_ref().and_then(Option::as_deref),
        at: at.as_ref().and_then(Option::as_deref),
        seconds: seconds.unwrap_or(false),
        anchor: anchor.as_ref().and_then(Option::as_deref),
        timezone: timezone.as_ref().and_then(Option::as_deref),
    };
    let mistyped =
        [cron.is_none(), every.is_none(), at.is_none()].contains(&true) || mode.is_none();
    let parsed = Schedule::parse(&spec).map_err(|problems| {
        // That nothing says when is no news where something said it wrongly.
        let news = problems.iter().filter(|problem| !mistyped || problem.path == "timezone");
        news.for_each(|problem| inner.problem(&problem.path, &problem.reason));
    });
    inner.close();
    let _ = (mode?, cron?, every?, at?, seconds?, anchor?, timezone?);
    parsed.ok()
}

/// `prompt`, or `task = { … }`, whose description is the prompt unless it has its own.
fn work(fields: &mut Fields<'_>, name: Option<&Name>) -> Option<Work> {
    if !fields.has("task") {
        let _ = fields.raw("task");
        return fields.required("prompt", prompt).map(Work::Prompt);
    }
    let prompt = fields.optional("prompt", prompt);
    let mut inner = fields.table("task")?;
    let title = inner.optional("title", some_text);
    let description = inner.optional("description", super::prompt);
    let owner = inner.optional("owner", some_text);
    let channel = inner.optional("channel", some_text);
    if matches!((&description, &prompt), (Some(None), Some(None))) {
        inner.problem("description", "is missing, and there is no prompt in its place");
    }
    inner.close();
    let title = title?.or_else(|| name.map(Name::to_string))?;
    let description = description?.or(prompt?)?;
    Some(Work::Task(Assignment { title, description, owner: owner?, channel: channel? }))
}
