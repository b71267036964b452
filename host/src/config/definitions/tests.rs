//! Definitions that cannot be, each with all that is said of it; and some that can.

use std::path::Path;

use crate::config::{Config, Overrides};

const AGENT: &str = "agents = [{ name = \"a\" }, { name = \"a\", workspace = \"acme\" }]\n";

fn parse(text: &str) -> Result<Config, String> {
    let text = format!("{AGENT}{text}");
    let path = Path::new("/nowhere/hillock.toml");
    Config::parse(&text, path, &Overrides::default()).map_err(|error| error.to_string())
}

/// Each definition, and everything that is said of it: a line for each problem, which must hold
/// the fragment.
const BAD: &[(&str, &[&str])] = &[
    // Shapes.
    ("triggers = 1", &["triggers: is not a list: write [[triggers]]"]),
    ("jobs = [1]", &["jobs[0]: is a number, not a table"]),
    ("hooks = [\"h\"]", &["hooks[0]: is text, not a table"]),
    // Names and workspaces.
    ("[[endpoints]]\nverification = \"none\"", &["endpoints[0].slug: is missing"]),
    (
        "[[endpoints]]\nslug = \"a--b\"\nverification = \"none\"",
        &["endpoints[0].slug: `a--b` is not a slug"],
    ),
    (
        "[[endpoints]]\nslug = \"wbh_00000000000000000000000000000000\"\nverification = \"none\"",
        &["endpoints[0].slug: `wbh_00000000000000000000000000000000` has the form of a webhook's"],
    ),
    (
        "[[endpoints]]\nslug = \"a\"\nworkspace = \"A\"\nverification = \"none\"",
        &["endpoints[0].workspace: `A` is not a name"],
    ),
    (
        "[[endpoints]]\nslug = \"a\"\nworkspace = 7\nverification = \"none\"",
        &["endpoints[0].workspace: is a number, not text"],
    ),
    // Endpoints.
    ("[[endpoints]]\nslug = \"a\"", &["endpoints[0].secret_ref: is missing: name a secret"]),
    (
        "[[endpoints]]\nslug = \"a\"\nsecret_ref = \"hunter2\"",
        &["endpoints[0].secret_ref: a secret is named by `env:NAME` or `file:PATH`"],
    ),
    (
        "[[endpoints]]\nslug = \"a\"\nsecret_ref = \"env:A\"\nsecret_refs = [\"env:B\"]",
        &["endpoints[0].secret_refs: stands beside secret_ref"],
    ),
    (
        "[[endpoints]]\nslug = \"a\"\nsecret_refs = [\"env:A\", \"b\"]",
        &["endpoints[0].secret_refs: number 2: a secret is named by"],
    ),
    (
        "[[endpoints]]\nslug = \"a\"\nsecret_ref = \"env:A\"\nverification = \"none\"",
        &["endpoints[0].verification: is \"none\" beside a secret"],
    ),
    (
        "[[endpoints]]\nslug = \"a\"\nverification = \"maybe\"",
        &["endpoints[0].verification: `maybe` is not known"],
    ),
    (
        "[[endpoints]]\nslug = \"a\"\nverification = \"none\"\nbody_max = 0",
        &["endpoints[0].body_max: is 0, which does not lie between 1 and 16777216"],
    ),
    (
        "[[endpoints]]\nslug = \"a\"\nverification = \"none\"\nconfig = []",
        &["endpoints[0].config: is a list, not a table"],
    ),
    (
        "[[endpoints]]\nslug = \"a\"\nverification = \"none\"\nsource = \"A b\"",
        &["endpoints[0].source: `A b` is not a name"],
    ),
    (
        "endpoints = [{ slug = \"a\", verification = \"none\" }, { slug = \"a\", verification = \"none\" }]",
        &["endpoints[1].slug: stands twice among the endpoints"],
    ),
    // Triggers.
    (
        "[[triggers]]",
        &[
            "triggers[0].name: is missing",
            "triggers[0].event: is missing",
            "triggers[0].prompt: is missing",
            "triggers[0].agent: is missing",
        ],
    ),
    ("T event = \"a.*.b\"", &["triggers[0].event: `a.*.b` is not a kind or kind prefix"]),
    ("T event = \"*\"", &["triggers[0].event: `*` is not a kind or kind prefix"]),
    ("T prompt = \"  \"", &["triggers[0].prompt: is empty: an agent needs something to do"]),
    ("T prompt = 5", &["triggers[0].prompt: is a number, not text"]),
    ("T agent = \"b\"", &["triggers[0].agent: there is no agent `b` (global)"]),
    (
        "T workspace = \"umbrella\"",
        &["triggers[0].agent: there is no agent `a` (workspace umbrella)"],
    ),
    ("T endpoint = \"e\"", &["triggers[0].endpoint: there is no endpoint `e` (global)"]),
    (
        "T endpoint_slug = \"e\"",
        &["triggers[0].webhook_secret_ref: is missing: the endpoint needs a secret"],
    ),
    (
        "T webhook_secret_ref = \"env:S\"",
        &["triggers[0].webhook_secret_ref: belongs to an endpoint_slug, which is missing"],
    ),
    ("T source = \"github\"", &["triggers[0].source: belongs to an endpoint_slug"]),
    (
        "T endpoint_slug = \"e\"\nwebhook_secret_ref = \"env:S\"\nendpoint = \"f\"",
        &["triggers[0].endpoint_slug: stands beside endpoint"],
    ),
    (
        "T endpoint_slug = \"e\"\nwebhook_secret_ref = \"env:S\"\n[[endpoints]]\nslug = \"e\"\nverification = \"none\"",
        &["triggers[0].endpoint_slug: stands twice among the endpoints"],
    ),
    (
        "T endpoint_slug = \"e\"\nwebhook_secret_ref = \"env:S\"\nU endpoint = \"e\"",
        &["triggers[1].endpoint: `e` belongs to another trigger"],
    ),
    ("T filter = \"x\"", &["triggers[0].filter: is text, not a table"]),
    (
        "T filter = { component = \"mine\", data = 1 }",
        &["triggers[0].filter.data: only `component` and `config` stand here"],
    ),
    ("T filter = { component = 1 }", &["triggers[0].filter.component: is a number, not text"]),
    ("T template = \"no name\"", &["triggers[0].template: `no name` is not a name"]),
    ("T retry = \"often\"", &["triggers[0].retry: `often` is neither `none` nor `backoff`"]),
    (
        "T retry = { base_delay = \"soon\" }",
        &["triggers[0].retry.base_delay: `soon` is not a duration such as 30s or 5m"],
    ),
    (
        "T retry = { base_delay = \"0s\", max_retries = 0 }",
        &[
            "triggers[0].retry.max_retries: is 0, which does not lie between 1 and 100",
            "triggers[0].retry.base_delay: is a duration of zero",
        ],
    ),
    (
        "T retry = { max_retrys = 1 }",
        &["triggers[0].retry.max_retrys: is unknown; did you mean `max_retries`?"],
    ),
    (
        "T retry = { mode = \"none\", max_retries = 5 }",
        &["triggers[0].retry.mode: is `none` beside what belongs to `backoff`"],
    ),
    ("T fire_limit = \"off\"", &["triggers[0].fire_limit: is text: `none`, or"]),
    (
        "T fire_limit = { max = 0 }",
        &["triggers[0].fire_limit.max: is 0, which does not lie between"],
    ),
    (
        "T fire_limit = { window = \"20y\" }",
        &["triggers[0].fire_limit.window: `20y` is longer than ten years"],
    ),
    ("T priority = \"urgent\"", &["triggers[0].priority: `urgent` is not a priority"]),
    ("T untrusted = \"never\"", &["triggers[0].untrusted: `never` is not a rule for untrusted"]),
    ("T allow_self = 1", &["triggers[0].allow_self: is a number, not true or false"]),
    ("T enabled = \"yes\"", &["triggers[0].enabled: is text, not true or false"]),
    ("T debounce = {}", &["triggers[0].debounce.window: is missing"]),
    (
        "T debounce = { window = \"1m\", max_wait = \"1s\" }",
        &["triggers[0].debounce.max_wait: is shorter than the window"],
    ),
    (
        "T debounce = { window = \"1m\", key = \"data..a\" }",
        &["triggers[0].debounce.key: `data..a` is not a path into the envelope"],
    ),
    (
        "T batch = { size = 1, wait = \"1m\" }",
        &["triggers[0].batch.size: is 1, which does not lie between 2 and 1000"],
    ),
    (
        "T batch = { size = 5, wait = \"1m\" }\ndebounce = { window = \"1s\" }",
        &["triggers[0].batch: stands beside debounce"],
    ),
    ("T prompts = \"x\"", &["triggers[0].prompts: is unknown; did you mean `prompt`?"]),
    ("T colour = \"red\"", &["triggers[0].colour: is unknown; fields here are name, workspace"]),
    ("T\nT", &["triggers[1].name: stands twice among the triggers"]),
    // Jobs.
    (
        "[[jobs]]\nname = \"j\"\nagent = \"a\"\nprompt = \"x\"",
        &["jobs[0].schedule: is missing: { cron = … }"],
    ),
    ("J schedule = \"daily\"", &["jobs[0].schedule: is text, not a table"]),
    ("J schedule = {}", &["jobs[0].schedule.cron: "]),
    ("J schedule = { cron = \"@daily\", every = \"1m\" }", &["jobs[0].schedule.every: "]),
    ("J schedule = { cron = \"* * *\" }", &["jobs[0].schedule.cron: "]),
    ("J schedule = { cron = \"61 * * * *\" }", &["jobs[0].schedule.cron: "]),
    ("J schedule = { cron = \"0 0 30 2 *\" }", &["jobs[0].schedule.cron: "]),
    ("J schedule = { cron = \"0 0 1,,2 * *\" }", &["jobs[0].schedule.cron: "]),
    (
        "J schedule = { cron = \"@daily\", timezone = \"Mars/Olympus\" }",
        &["jobs[0].schedule.timezone: "],
    ),
    (
        "J schedule = { cron = \"@dayly\", timezone = \"Nowhere\" }",
        &["jobs[0].schedule.timezone: ", "jobs[0].schedule.cron: "],
    ),
    ("J schedule = { every = \"0s\" }", &["jobs[0].schedule.every: "]),
    ("J schedule = { every = \"1m\", seconds = true }", &["jobs[0].schedule.seconds: "]),
    ("J schedule = { at = \"tomorrow\" }", &["jobs[0].schedule.at: "]),
    ("J schedule = { cron = 5 }", &["jobs[0].schedule.cron: is a number, not text"]),
    (
        "J schedule = { mode = \"weekly\", cron = \"@daily\" }",
        &["jobs[0].schedule.mode: `weekly` is none of cron, every, at"],
    ),
    (
        "J schedule = { mode = \"at\", cron = \"@daily\" }",
        &["jobs[0].schedule.at: is missing, though mode says so"],
    ),
    (
        "[[jobs]]\nname = \"j\"\nagent = \"a\"\nschedule = { every = \"1m\" }",
        &["jobs[0].prompt: is missing"],
    ),
    (
        "[[jobs]]\nname = \"j\"\nagent = \"a\"\nschedule = { every = \"1m\" }\ntask = { title = \"t\" }",
        &["jobs[0].task.description: is missing, and there is no prompt"],
    ),
    ("K task = { titel = \"t\" }", &["jobs[0].task.titel: is unknown; did you mean `title`?"]),
    ("K task = \"t\"", &["jobs[0].task: is text, not a table"]),
    ("K task = {}\nretry = \"backoff\"", &["jobs[0].retry: must be `none` beside a task"]),
    ("K overlap = \"both\"", &["jobs[0].overlap: `both` is not an overlap policy"]),
    ("K catch_up_policy = \"all\"", &["jobs[0].catch_up_policy: `all` is not a catch-up policy"]),
    ("K catch_up_max = 0", &["jobs[0].catch_up_max: is 0, which does not lie between 1 and 100"]),
    ("K misfire_grace_seconds = -1", &["jobs[0].misfire_grace_seconds: is -1, which does not lie"]),
    ("K jitter = \"much\"", &["jobs[0].jitter: `much` is not a duration"]),
    ("K agent = \"zed\"", &["jobs[0].agent: there is no agent `zed` (global)"]),
    // Hooks.
    (
        "[[hooks]]\nname = \"h\"\ncomponent = \"c\"\npoints = []",
        &["hooks[0].points: is empty: name at least one point"],
    ),
    (
        "[[hooks]]\nname = \"h\"\ncomponent = \"c\"\npoints = [\"run.lost\"]",
        &["hooks[0].points: number 1: `run.lost` is not a lifecycle point: run.scheduled"],
    ),
    (
        "[[hooks]]\nname = \"h\"\ncomponent = \"c\"\npoints = [\"job.pre_fire\", \"run.failed\"]",
        &["hooks[0].points: mixes pre_fire with others"],
    ),
    (
        "[[hooks]]\nname = \"h\"\ncomponent = \"c\"\npoints = [\"run.failed\"]\non_error = \"allow\"",
        &["hooks[0].on_error: belongs to pre_fire points"],
    ),
    (
        "[[hooks]]\nname = \"h\"\ncomponent = \"c\"\npoints = [\"job.pre_fire\"]\non_error = \"shrug\"",
        &["hooks[0].on_error: `shrug` is neither `allow` nor `cancel`"],
    ),
    ("[[hooks]]\nname = \"h\"\npoints = [\"run.failed\"]", &["hooks[0].component: is missing"]),
    // Observers.
    ("[[observers]]\nname = \"o\"", &["observers[0].watch: is missing"]),
    (
        "[[observers]]\nname = \"o\"\nwatch = \"stars\"",
        &["observers[0].watch: `stars` cannot be watched: files, queue or runs can"],
    ),
    (
        "[[observers]]\nname = \"o\"\nwatch = \"files\"\nfolders = []",
        &["observers[0].folders: is empty: grant at least one folder"],
    ),
    (
        "[[observers]]\nname = \"o\"\nwatch = \"files\"\nfolders = [\"/\"]\ndebounce = \"0s\"",
        &["observers[0].debounce: is a duration of zero"],
    ),
    (
        "[[observers]]\nname = \"o\"\nwatch = \"runs\"\ninterval = \"1s\"",
        &["observers[0].interval: is unknown"],
    ),
    (
        "[[observers]]\nname = \"o\"\nwatch = \"queue\"\ninterval = \"1ms\"",
        &["observers[0].interval: is shorter than a second"],
    ),
    // Extensions.
    ("[[extensions]]\nname = \"a..b\"", &["extensions[0].name: `a..b` has a dot"]),
    (
        "[[extensions]]\nname = \"e\"\ninterval = \"100ms\"",
        &["extensions[0].interval: is shorter than a second"],
    ),
    (
        "[[extensions]]\nname = \"e\"\ngrants = [{ host = \"a b\" }]",
        &["extensions[0].grants[0].host: `a b`"],
    ),
    (
        "[[extensions]]\nname = \"e\"\ngrants = [{ hosts = \"a.example\" }]",
        &["extensions[0].grants[0]: "],
    ),
    (
        "[[extensions]]\nname = \"e\"\ngrants = [{ host = \"a.example\" }, { host = \"b.example\", methods = [\"TRACE\", \"FETCH\"] }]",
        &[
            "extensions[0].grants[1].methods[0]: `TRACE` is none of GET",
            "extensions[0].grants[1].methods[1]: `FETCH` is none of GET",
        ],
    ),
    (
        "[[extensions]]\nname = \"e\"\ngrants = [{ host = \"a.example\", credential = { header = \"authorization\", secret_ref = \"s3cret\" } }]",
        &["extensions[0].grants[0].credential.secret_ref: a secret is named by"],
    ),
    // Plugins.
    ("[[plugins]]\nname = \"p\"", &["plugins[0].path: is missing"]),
    (
        "plugins = [{ name = \"p\", path = \"a\" }, { name = \"p\", path = \"b\" }]",
        &["plugins[1].name: stands twice among the plugins"],
    ),
    // Several at once, in several definitions.
    (
        "T priority = \"urgent\"\nretry = { base_delay = \"x\" }\nU agent = \"nobody\"\nK jitter = \"x\"",
        &[
            "triggers[0].priority: ",
            "triggers[0].retry.base_delay: ",
            "jobs[0].jitter: ",
            "triggers[1].agent: there is no agent `nobody` (global)",
        ],
    ),
];

/// A definition's own lines, with all else that it needs: `T` and `U` begin triggers, `J` a job
/// without a schedule, `K` a job with one. What is set again replaces.
fn whole(text: &str) -> String {
    let trigger =
        |name| vec![("name", name), ("event", "\"x\""), ("agent", "\"a\""), ("prompt", "\"x\"")];
    let job = vec![("name", "\"j\""), ("agent", "\"a\""), ("prompt", "\"x\"")];
    let scheduled = [job.clone(), vec![("schedule", "{ every = \"1m\" }")]].concat();
    let mut tables: Vec<(String, Vec<(String, String)>)> = vec![(String::new(), vec![])];
    for line in text.lines() {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        let begins = match mark {
            "T" => Some(("[[triggers]]", trigger("\"t\""))),
            "U" => Some(("[[triggers]]", trigger("\"u\""))),
            "J" => Some(("[[jobs]]", job.clone())),
            "K" => Some(("[[jobs]]", scheduled.clone())),
            _ => None,
        };
        let line = match begins {
            Some((heading, fields)) => {
                let owned = fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
                tables.push((heading.to_owned(), owned.collect()));
                rest
            }
            None if line.starts_with("[[") => {
                tables.push((line.to_owned(), vec![]));
                ""
            }
            None => line,
        };
        let Some((key, value)) = line.split_once(" = ") else { continue };
        let fields = &mut tables.last_mut().unwrap().1;
        fields.retain(|(known, _)| known != key);
        fields.push((key.to_owned(), value.to_owned()));
    }
    let lines = |(heading, fields): &(String, Vec<(String, String)>)| {
        let fields: Vec<String> = fields.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        format!("{heading}\n{}\n", fields.join("\n"))
    };
    tables.iter().map(lines).collect()
}

/// What is not said as it should be.
fn faults(text: &str, wanted: &[&str]) -> Vec<String> {
    let Err(said) = parse(&whole(text)) else { return vec![format!("{text}\nis taken")] };
    let problems: Vec<&str> = said.lines().skip(1).collect();
    let mut faults = vec![];
    if problems.len() != wanted.len() {
        faults.push(format!("{text}\nwants {} problems:\n{said}", wanted.len()));
    }
    for fragment in wanted {
        if !problems.iter().any(|problem| problem.contains(fragment)) {
            faults.push(format!("{text}\nwants `{fragment}`:\n{said}"));
        }
    }
    faults
}

#[test]
fn what_cannot_be_is_said_in_full() {
    assert!(BAD.len() >= 50);
    let faults: Vec<String> = BAD.iter().flat_map(|(text, wanted)| faults(text, wanted)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn what_can_be_is_taken() {
    for text in [
        "T",
        "T retry = \"none\"\nfire_limit = \"none\"",
        "T retry = { mode = \"none\" }",
        "T retry = { max_retries = 5 }",
        "T debounce = { window = \"1s\", key = \"data.issue.number\" }",
        "T workspace = \"acme\"",
        "T filter = { cel = \"true\" }\nuntrusted = \"fenced\"\nallow_self = true",
        "K task = {}",
        "K overlap = \"queue\"\ncatch_up_policy = \"coalesce\"\njitter = \"0s\"",
        "J schedule = { mode = \"cron\", cron = \"0 9 * * 1-5\", timezone = \"Europe/Berlin\" }",
        "[[hooks]]\nname = \"h\"\ncomponent = \"c\"\npoints = [\"job.pre_fire\"]\non_error = \"allow\"",
        "[[observers]]\nname = \"o\"\nwatch = \"queue\"\nagent = \"a\"",
        "[[extensions]]\nname = \"e\"\ngrants = [{ host = \"a.example\", methods = [\"POST\"] }]",
    ] {
        let parsed = parse(&whole(text));
        assert!(parsed.is_ok(), "{text}\n{}", parsed.unwrap_err());
    }
}

#[test]
fn a_grant_s_secret_is_below_the_folder() {
    let text = "[[extensions]]\nname = \"e\"\ngrants = [{ host = \"a.example\", credential = { \
                header = \"authorization\", secret_ref = \"file:token\" } }]";
    let config = parse(text).unwrap();
    let extensions = &config.definitions().extensions;
    let credential = extensions[0].grants[0].credential.as_ref().unwrap();
    assert_eq!(credential.secret_ref.to_string(), "file:/nowhere/token");
}

#[test]
fn files_beside_say_where_they_are_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let load = || {
        let path = dir.path().join("hillock.toml");
        Config::load(Some(&path), &Overrides::default())
    };
    write("hillock.toml", "agents = [{ name = \"a\" }]");
    write(
        "automations.d/b.toml",
        &whole("T secret_ref = \"env:S\"\npriority = \"x\"\nK agent = \"b\""),
    );
    write("automations.d/a.toml", "[server]\nlisten = \"127.0.0.1:1\"\n");
    write("automations.d/notes.txt", "not TOML");
    let said = load().unwrap_err().to_string();
    for wanted in [
        "automations.d/a.toml: server: only lists of definitions stand in this file",
        "automations.d/b.toml: triggers[0].priority: `x` is not a priority",
        "automations.d/b.toml: triggers[0].secret_ref: is unknown",
        "automations.d/b.toml: jobs[0].agent: there is no agent `b`",
    ] {
        assert!(said.contains(wanted), "{wanted}\n{said}");
    }
    write("automations.d/a.toml", "");
    write("automations.d/b.toml", &whole("T\nK"));
    let config = load().unwrap();
    let paths: Vec<&str> = config.declared.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(
        paths,
        ["agents[0]", "automations.d/b.toml: triggers[0]", "automations.d/b.toml: jobs[0]"]
    );
}
